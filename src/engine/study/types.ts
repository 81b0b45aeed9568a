/** Engine, studies: types of the requests and the results. */
import type { PruneOptions } from '../../graph/prune.ts';
import type { MetadataColumn } from '../../study/metadata-columns.ts';
import type { QueryTable } from '../../study/query.ts';
import type { Alignment } from '../../study/aligned.ts';
import type { Holdout } from '../../study/holdout.ts';
import type { GraphScores } from '../../graph/scores.ts';
import type { Difference } from '../../study/contrast.ts';
import type { Recurrence } from '../../study/common.ts';
import type { CommonOptions } from '../request.ts';
import type { SavedFileResult } from '../result.ts';

type Watched = Pick<CommonOptions, 'signal' | 'onProgress'>;

export interface CollectRequest extends PruneOptions, Watched {
  /** Folders that `attribute --prompts` wrote to. */
  readonly folders: readonly string[];
  /** Folder of the study; one that is there is replaced. */
  readonly output: string;
  /** Leaves out graphs that are missing or damaged, instead of stopping at them. */
  readonly skipDamaged?: boolean | undefined;
}

export interface SkippedGraph {
  readonly slug: string;
  readonly message: string;
}

export interface CollectResult {
  readonly study: string;
  readonly n_graphs: number;
  readonly n_nodes: number;
  readonly n_edges: number;
  readonly n_features: number;
  readonly skipped: readonly SkippedGraph[];
  /** Columns of the list of prompts, by their names in the table `graphs`. */
  readonly metadata: readonly Pick<MetadataColumn, 'name' | 'column' | 'type'>[];
  readonly files: readonly SavedFileResult[];
  readonly peak_rss_bytes: number;
}

export interface QueryRequest extends Watched {
  readonly study: string;
  readonly sql: string;
}

export interface QueryResult extends QueryTable {
  readonly study: string;
  readonly n_rows: number;
}

/** The only definition of these defaults. */
export const STUDY_DEFAULTS = {
  /** Features, and links, that are listed. */
  top: 10,
  /** Divisions of a permutation test: the smallest p-value is then 1 / 2001. */
  permutations: 2000,
  seed: 1,
  /** Of a whole family of tests. */
  level: 0.05,
  /** Clustering takes time with the third power of it: 4 s. */
  mostClustered: 1000,
  /** Of the graphs, that have to have a node or a link of a circuit. */
  share: 0.5,
  align: 'end',
} as const;

/** Parts of the requests of all questions. */
export interface StudyRequest extends Watched, Pick<CommonOptions, 'cacheDir'> {
  readonly study: string;
  /** Only graphs that fulfil this condition, in SQL over the columns of `graphs`. */
  readonly where?: string | undefined;
  /** Features, and links, that are listed. */
  readonly top?: number | undefined;
  /** Picture to write. */
  readonly svg?: string | undefined;
}

export interface NamedFeature {
  readonly layer: number;
  readonly feature: number;
  /** Of its page, where that is on the disk. */
  readonly label: string | null;
}

/** Ends are features (`1/392`), `token` or `answer`. */
export interface NamedLink {
  readonly source: string;
  readonly target: string;
}

export interface CommonRequest extends StudyRequest {
  /** A column of the list of prompts, or of `graphs`; left out: all graphs are one group. */
  readonly by?: string | undefined;
}

export interface CommonGroup {
  /** Null where all graphs are one group. */
  readonly group: string | null;
  readonly n_graphs: number;
  /** In any of its graphs. */
  readonly n_features: number;
  readonly n_links: number;
  readonly features: readonly (NamedFeature & Recurrence)[];
  readonly links: readonly (NamedLink & Recurrence)[];
}

export interface CommonResult {
  readonly study: string;
  readonly by: string | null;
  readonly groups: readonly CommonGroup[];
  /** Graphs without a value in the column. */
  readonly n_without_group: number;
  readonly files: readonly SavedFileResult[];
}

export interface ContrastRequest extends StudyRequest {
  /** Two values of the column `by`, or two conditions. */
  readonly groups:
    | { readonly by?: string | undefined; readonly a: string; readonly b: string }
    | { readonly whereA: string; readonly whereB: string };
  readonly permutations?: number | undefined;
  readonly seed?: number | undefined;
}

export interface ContrastResult {
  readonly study: string;
  readonly by: string | null;
  readonly a: { readonly name: string; readonly n_graphs: number };
  readonly b: { readonly name: string; readonly n_graphs: number };
  readonly permutations: number;
  readonly seed: number;
  /** Features and links, which were tested together. */
  readonly n_tested: number;
  readonly level: number;
  /** Whose adjusted p-value is at most `level`. */
  readonly n_significant: { readonly features: number; readonly links: number };
  /** The smallest adjusted p-value first, then the largest difference. */
  readonly features: readonly (NamedFeature & Difference)[];
  readonly links: readonly (NamedLink & Difference)[];
  readonly files: readonly SavedFileResult[];
}

export interface ClusterRequest extends StudyRequest {
  /** Counts the values of this column in each cluster. */
  readonly by?: string | undefined;
  /** Default: from 2 to 10, by the silhouette. */
  readonly clusters?: number | undefined;
  /** Chooses the graphs where there are too many. */
  readonly seed?: number | undefined;
}

export interface ClusterResult {
  readonly study: string;
  readonly by: string | null;
  /** Graphs that were clustered, of all that were selected. */
  readonly n_graphs: number;
  readonly n_selected: number;
  readonly silhouette: number;
  readonly clusters: readonly {
    readonly n_graphs: number;
    /** The graph that is nearest to the others. */
    readonly typical: string;
    readonly groups: readonly { readonly group: string | null; readonly n_graphs: number }[];
    /** In more of its graphs than of the others, the largest difference first. */
    readonly features: readonly (NamedFeature & {
      readonly share: number;
      readonly share_elsewhere: number;
    })[];
    readonly graphs: readonly string[];
  }[];
  readonly files: readonly SavedFileResult[];
}

export interface CircuitRequest extends StudyRequest {
  /** A value of the column `by` (default: `group`); left out: all graphs. */
  readonly group?: string | undefined;
  readonly by?: string | undefined;
  /** Of the graphs, that have to have a node or a link. */
  readonly share?: number | undefined;
  /** The end from which positions are counted to match nodes. */
  readonly align?: Alignment | undefined;
  /** Graph file to write. */
  readonly output?: string | undefined;
  /** Share of the graphs on which the circuit is tried instead of being found. */
  readonly holdout?: number | undefined;
  /** Chooses these, and draws for intervals. */
  readonly seed?: number | undefined;
}

export interface CircuitResult {
  readonly study: string;
  readonly by: string | null;
  readonly group: string | null;
  readonly share: number;
  readonly align: Alignment;
  /** Graphs that it was found in. */
  readonly n_graphs: number;
  readonly n_features: number;
  readonly n_links: number;
  /** Means over these graphs. */
  readonly scores: GraphScores;
  /** The most influential first. */
  readonly features: readonly (NamedFeature & {
    /** From the end -1, -2, …, or from the start 0, 1, … */
    readonly place: number;
    readonly token: string;
    readonly n_graphs: number;
    readonly share: number;
    readonly influence: number;
  })[];
  readonly seed: number | null;
  readonly holdout: Holdout | null;
  readonly files: readonly SavedFileResult[];
}
