/** Engine, verb `features fetch`: types of the request and the result. */
import type { NeuronpediaRequestOptions } from '../graph/neuronpedia-client.ts';
import type { CommonOptions } from '../request.ts';

export interface FeaturesFetchRequest extends CommonOptions, NeuronpediaRequestOptions {
  /** Features to fetch, with a request for each. One of `chosen`, `graph` and `bulk` is needed. */
  readonly chosen?: readonly { readonly layer: number; readonly feature: number }[] | undefined;
  /** A graph file, whose features are fetched, the most influential first. */
  readonly graph?: string | undefined;
  /** All features, from the exports. */
  readonly bulk?: boolean | undefined;
  /** Of a graph or the exports, only these layers. */
  readonly layers?: readonly number[] | undefined;
  /** `MODEL/SOURCE` with `{layer}`; default: the one that the set's preset names. */
  readonly source?: string | undefined;
  /** At most so many requests. */
  readonly max?: number | undefined;
  /** Fetches what is there, and asks for what was unknown. */
  readonly again?: boolean | undefined;
  /** Fetches nothing: how many requests and bytes it would be. */
  readonly dryRun?: boolean | undefined;
}

interface Fetching {
  readonly transcoders: string;
  readonly scan: string;
  /** Where pages are kept. */
  readonly folder: string;
  /** `MODEL/SOURCE` with `{layer}`. */
  readonly source: string;
  /** What has to be known about the numbers of this source. */
  readonly note: string | null;
  /** One request a feature, or exports. */
  readonly way: 'features' | 'exports';
  /** Chosen features; for exports, features of the layers. */
  readonly n_features: number;
  /** Were fetched before; for exports, those of layers that are complete. */
  readonly n_kept: number;
  /** The site said before that it does not know them. */
  readonly n_known_unknown: number;
  /** Layers that have no exports. */
  readonly layers_without_exports: readonly number[];
}

export interface FeaturesFetchResult extends Fetching {
  readonly dry_run: false;
  /** Pages that are new. */
  readonly n_fetched: number;
  /** The site does not know them. */
  readonly n_unknown: number;
  readonly n_requests: number;
  readonly bytes: number;
  /** Why it ended before everything was fetched. */
  readonly stopped: 'max' | null;
  readonly layers: readonly {
    readonly layer: number;
    /** There now. */
    readonly n_pages: number;
    readonly n_labels: number;
    readonly n_new: number;
    /** Lines of exports that could not be used. */
    readonly n_faults: number;
  }[];
  readonly failed: readonly { readonly layer: number; readonly feature: number; readonly reason: string }[];
  readonly timings_ms: Readonly<Record<string, number>>;
}

export interface FeaturesFetchPlan extends Fetching {
  readonly dry_run: true;
  /** That fetching would take, beyond those of listings, which were made for this. */
  readonly n_requests: number;
  /** As listed; null for single features, whose sizes are not known before. */
  readonly bytes: number | null;
  /** At the pace that is kept, without the time of answers. */
  readonly least_seconds: number;
  readonly layers: readonly {
    readonly layer: number;
    readonly n_requests: number;
    readonly bytes: number | null;
  }[];
}
