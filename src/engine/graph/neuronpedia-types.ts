/** Engine: requests and results of `graph upload` and `graph pull`. */
import type { PruneOptions } from '../../graph/prune.ts';
import type { CommonOptions } from '../request.ts';
import type { SavedFileResult } from '../result.ts';
import type { NeuronpediaRequestOptions } from './neuronpedia-client.ts';

/** Which pins and supernodes go with a graph: those beside the file, those that `graph suggest` makes, or none. */
export type UploadedSubgraph = 'annotated' | 'suggested' | 'none';

export interface UploadRequest extends NeuronpediaRequestOptions, PruneOptions {
  /** A graph file, or a viewer's JSON. */
  readonly file: string;
  /** Name of the graph; default: that of the file. */
  readonly slug?: string | undefined;
  /** The site's name of the model; default: by the set. */
  readonly modelId?: string | undefined;
  /** Default: `annotated`, which is nothing where nothing is pinned. */
  readonly subgraph?: UploadedSubgraph | undefined;
  readonly subgraphName?: string | undefined;
  /** Also where the site has a graph of this name. */
  readonly replace?: boolean | undefined;
  /** Makes and checks what would be sent, and sends nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface UploadResult {
  readonly file: string;
  readonly dry_run: boolean;
  readonly site: string;
  readonly model: string;
  readonly slug: string;
  /** The site's pages of the features; null where none are known. */
  readonly source_set: string | null;
  readonly prompt: string;
  readonly n_nodes: number;
  readonly n_links: number;
  /** Of the JSON, and as it is sent. */
  readonly bytes: number;
  readonly sent_bytes: number;
  /** Ids in the annotations that the graph does not hold; they are not sent. */
  readonly missing_ids: readonly string[];
  readonly subgraph: {
    readonly name: string;
    readonly n_pinned: number;
    readonly n_supernodes: number;
    readonly n_labels: number;
    /** Null in a dry run. */
    readonly id: string | null;
    readonly is_replaced: boolean;
  } | null;
  /** Address of the page; null in a dry run. */
  readonly link: string | null;
  /** Address of the JSON; null in a dry run. */
  readonly json: string | null;
}

export interface PullRequest extends NeuronpediaRequestOptions, Pick<CommonOptions, 'model' | 'revision'> {
  /** See `parseGraphLink`. */
  readonly link: string;
  /** `.json`: a viewer's file; otherwise a graph file. */
  readonly output: string;
  /** Id or name of a saved subgraph, instead of the pins in the link. */
  readonly subgraph?: string | undefined;
}

export interface PullResult {
  /** Without its query. */
  readonly link: string;
  /** The site's names; null for the address of a JSON. */
  readonly model: string | null;
  readonly slug: string;
  readonly scan: string;
  readonly prompt: string;
  readonly n_nodes: number;
  readonly n_links: number;
  /** What became annotations. */
  readonly annotations: {
    /** Where they come from. */
    readonly from: 'address' | 'subgraph' | 'graph';
    readonly n_pinned: number;
    readonly n_supernodes: number;
    readonly n_labels: number;
    /** False: there is a file of annotations already, which stays. */
    readonly is_written: boolean;
  } | null;
  /** Ids that the graph does not hold. */
  readonly missing_ids: readonly string[];
  /** Those of the key's account for this graph; empty without a key. */
  readonly own_subgraphs: readonly { readonly id: string; readonly name: string | null }[];
  readonly files: readonly SavedFileResult[];
}
