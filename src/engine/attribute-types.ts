/** Engine: what can be asked of `attribute`, and what it answers. */
import type { SelectionChoice } from '../attribution/selection.ts';
import type { TargetChoice } from '../attribution/targets.ts';
import type { TopFeature } from '../graph/top.ts';
import type { Arithmetic, Device } from '../backend/backend.ts';
import type { CommonOptions, PromptInput } from './requests.ts';
import type { SavedFileResult, Subject } from './results.ts';

/** Defaults of the original library, so that graphs can be compared. */
export const ATTRIBUTE_DEFAULTS = {
  maxLogits: 10,
  desiredProbability: 0.95,
  batchSize: 512,
  updateInterval: 4,
  maxFeatureNodes: 7500,
  selection: 'reference',
  nodeThreshold: 0.8,
  edgeThreshold: 0.98,
  /** Strongest features that the result lists. */
  top: 10,
} as const;

/** How a graph is made; what is left out has the value of `ATTRIBUTE_DEFAULTS`. */
export interface GraphOptions {
  readonly targets?: TargetChoice | undefined;
  /** The position that is explained: from the start, or negative from the end. Later tokens are cut off: they cannot matter. */
  readonly targetPosition?: number | undefined;
  readonly batchSize?: number | undefined;
  readonly updateInterval?: number | undefined;
  /** 0: no limit. */
  readonly maxFeatureNodes?: number | undefined;
  readonly selection?: SelectionChoice | undefined;
  /** Used for the viewer's file; the graph file is never pruned. */
  readonly nodeThreshold?: number | undefined;
  readonly edgeThreshold?: number | undefined;
  /** What feature pages are looked up under; default as the set says. */
  readonly scan?: string | undefined;
}

export interface AttributeRequest extends CommonOptions, GraphOptions {
  readonly input: PromptInput;
  /** Graph file to write. */
  readonly output?: string | undefined;
  /** Folder for the viewer's file and `graph-metadata.json`; needs `slug`. */
  readonly graphDir?: string | undefined;
  readonly slug?: string | undefined;
}

export interface LogitTargetResult {
  readonly token_id: number;
  readonly text: string;
  readonly probability: number;
}

export interface AttributeResult extends Subject {
  readonly backend: string;
  readonly device: Device;
  readonly dtype: Arithmetic;
  readonly prompt: string;
  readonly n_tokens: number;
  readonly n_nodes: number;
  readonly n_active_features: number;
  readonly n_selected_features: number;
  readonly logit_targets: readonly LogitTargetResult[];
  readonly scores: { readonly replacement: number; readonly completeness: number };
  /** After pruning with the thresholds. */
  readonly pruned: { readonly n_nodes: number; readonly n_edges: number };
  readonly top_features: readonly TopFeature[];
  readonly files: readonly SavedFileResult[];
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}
