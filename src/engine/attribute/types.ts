/** Engine, verb `attribute`: types of the request and the result. */
import type { SelectionChoice } from '../../attribution/selection.ts';
import type { EdgeCheck, Verification } from '../../attribution/verify.ts';
import type { TargetChoice } from '../../attribution/targets.ts';
import type { TopFeature } from '../../graph/top.ts';
import type { Arithmetic, Device } from '../../backend/backend.ts';
import type { ChatResult } from '../chat.ts';
import type { ChatChoice, CommonOptions, PromptInput } from '../request.ts';
import type { Failure } from '../failure.ts';
import type { SavedFileResult, Subject } from '../result.ts';
import type { Shard } from '../shard.ts';

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
  store: 'full',
} as const;

export type StoreChoice = 'full' | 'nodes';

/** The thresholds of a request. */
export function pruningOf({ nodeThreshold, edgeThreshold }: GraphOptions): {
  readonly nodeThreshold: number;
  readonly edgeThreshold: number;
} {
  return {
    nodeThreshold: nodeThreshold ?? ATTRIBUTE_DEFAULTS.nodeThreshold,
    edgeThreshold: edgeThreshold ?? ATTRIBUTE_DEFAULTS.edgeThreshold,
  };
}

/** Options of a graph; defaults are in `ATTRIBUTE_DEFAULTS`. */
export interface GraphOptions {
  readonly targets?: TargetChoice | undefined;
  /** The position that is explained: from the start, or negative from the end. Later tokens are dropped: they have no effect on it. */
  readonly targetPosition?: number | undefined;
  readonly batchSize?: number | undefined;
  readonly updateInterval?: number | undefined;
  /** 0: no limit. */
  readonly maxFeatureNodes?: number | undefined;
  readonly selection?: SelectionChoice | undefined;
  /** What a graph file holds: all rows that were computed, or the nodes and links that pruning leaves. */
  readonly store?: StoreChoice | undefined;
  /** Used for the viewer's file, and for a graph file that holds what pruning leaves. */
  readonly nodeThreshold?: number | undefined;
  readonly edgeThreshold?: number | undefined;
  /** Name under which feature pages are looked up; default: from the set. */
  readonly scan?: string | undefined;
}

/** Options besides those of the graph. */
export interface TraceOptions {
  /** Stores rows beside the files as they are computed, and continues with those of an interrupted run. */
  readonly resume?: boolean | undefined;
  /** Edges to check against the frozen model. */
  readonly verify?: number | undefined;
}

export interface LabelOptions {
  /** Folder with feature pages, whose labels take precedence over those of the set's own pages. */
  readonly features?: string | undefined;
}

export interface AttributeRequest extends CommonOptions, GraphOptions, TraceOptions, LabelOptions {
  readonly input: PromptInput;
  /** Graph file to write. */
  readonly output?: string | undefined;
  /** Folder for the viewer's file and `graph-metadata.json`; needs `slug`. */
  readonly graphDir?: string | undefined;
  readonly slug?: string | undefined;
  /** Keeps existing files of these names: the new ones get a number after their name. Default: false. */
  readonly keepExisting?: boolean | undefined;
}

export interface AttributePromptsRequest extends CommonOptions, GraphOptions, TraceOptions, LabelOptions {
  /** JSON Lines, CSV, TSV or Parquet with `slug`, `prompt` and any other columns, which the manifest keeps. */
  readonly prompts: string;
  /** Holds for all of them. */
  readonly chat?: ChatChoice | undefined;
  /** Folder for graph files, `SLUG.safetensors`. */
  readonly output?: string | undefined;
  /** Folder for the viewer's files, `SLUG.json`, and `graph-metadata.json`. */
  readonly graphDir?: string | undefined;
  /** One process for each, all fed from this list, in place of `device`; `maxMemoryBytes` is divided among them. */
  readonly devices?: readonly Device[] | undefined;
  /** The part of the list that is traced; several processes may trace parts into the same folders. */
  readonly shard?: Shard | undefined;
}

export interface LogitTargetResult {
  readonly token_id: number;
  readonly text: string;
  readonly probability: number;
}

export interface LabelledFeature extends TopFeature {
  /** Of those that have one. */
  readonly label?: string;
}

export interface AttributeResult extends Subject, ChatResult {
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
  readonly top_features: readonly LabelledFeature[];
  /** Rows taken over from an interrupted run; with `resume`. */
  readonly n_resumed_rows?: number;
  readonly verification?: VerificationResult;
  readonly files: readonly SavedFileResult[];
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}

/** Errors are shares: of the largest edge into the same target, and of all that a row sums. */
export interface VerificationResult extends Omit<Verification, 'worst_edge'> {
  /** The edge of the largest error, by node ids. */
  readonly worst_edge: (Omit<EdgeCheck, 'target' | 'source'> & { target: string; source: string }) | null;
}

/** One line of the list of prompts. */
export type PromptResult = { readonly line: number; readonly slug: string | null } & (
  | { readonly ok: true; readonly skipped: true; readonly files: readonly SavedFileResult[] }
  | { readonly ok: true; readonly skipped: false; readonly graph: AttributeResult }
  | ({ readonly ok: false } & Failure)
);

export interface AttributePromptsResult extends Subject {
  /** Null where nothing was left to trace, so that no backend was opened. */
  readonly backend: string | null;
  /** `cuda:0,cuda:1` with several. */
  readonly device: string | null;
  readonly dtype: Arithmetic;
  readonly n_done: number;
  readonly n_skipped: number;
  readonly n_failed: number;
  /** `I/N`, of a part. */
  readonly shard?: string;
  readonly manifest: SavedFileResult;
  readonly prompts: readonly PromptResult[];
  /** Of loading; each graph has its own. */
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}
