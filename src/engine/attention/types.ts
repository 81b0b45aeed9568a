/** Engine, verb `attention`: types of requests and results. */
import type { Against } from '../../attention/scores.ts';
import type { Grouping, SourceKind } from '../../attention/source-list.ts';
import type { TargetChoice } from '../../attribution/targets.ts';
import type { Arithmetic, Device } from '../../backend/backend.ts';
import type { LabelOptions } from '../attribute/types.ts';
import type { ChatResult } from '../chat.ts';
import type { CommonOptions, PromptInput } from '../request.ts';
import type { SavedFileResult, Subject, TokenResult } from '../result.ts';

export const ATTENTION_DEFAULTS = {
  /** Entries of lists. */
  top: 20,
  /** Pairs in a file. */
  filePairs: 1000,
} as const;

/** A prompt, or the graph of one. */
export interface AttentionInput extends CommonOptions, LabelOptions {
  /** Left out: that of the graph. */
  readonly input?: PromptInput | undefined;
  /** Graph file, which names model, set, tokens and targets. */
  readonly graph?: string | undefined;
  /** Logits that effects are measured on; with a graph, those of the graph. */
  readonly targets?: TargetChoice | undefined;
  readonly targetPosition?: number | undefined;
  /** Entries of lists. */
  readonly top?: number | undefined;
  /** Safetensors file with all numbers. */
  readonly output?: string | undefined;
}

export interface HeadRequest extends AttentionInput {
  readonly layer: number;
  readonly head: number;
  /** Negative: from the end. Default: the last. */
  readonly query?: number | undefined;
  /** Default: the key that the head looks at most. */
  readonly key?: number | undefined;
  /** Decomposes the contrast with other keys instead of the score; a number is another key. */
  readonly against?: Exclude<Against, null> | undefined;
  /** A table of groups in the result. */
  readonly by?: Grouping | undefined;
  /** Writes the matrix of all pairs too. */
  readonly matrix?: boolean | undefined;
  /** The head's whole pattern in the result. */
  readonly wholePattern?: boolean | undefined;
}

export interface EdgesRequest extends AttentionInput {
  /** Names of nodes. */
  readonly edges: readonly (readonly [source: string, target: string])[];
}

export interface NodeHeadsRequest extends Omit<AttentionInput, 'output'> {
  /** Name of a feature or logit. */
  readonly node: string;
}

export interface SummaryRequest extends AttentionInput {
  readonly nodeThreshold?: number | undefined;
  readonly edgeThreshold?: number | undefined;
}

// ---- results

export interface ResidualSourceResult {
  readonly id: string;
  readonly kind: SourceKind;
  readonly layer: number | null;
  readonly position: number | null;
  readonly feature: number | null;
  readonly token: string | null;
  readonly label: string | null;
  /** With a graph: whether it is a node of it. */
  readonly in_graph?: boolean;
}

export interface MarginalResult extends ResidualSourceResult {
  readonly value: number;
}

/** How an answer was computed. */
export interface AttentionComputed extends Subject, ChatResult {
  readonly backend: string;
  readonly device: Device;
  readonly dtype: Arithmetic;
  readonly graph: string | null;
  readonly tokens: readonly TokenResult[];
  readonly files: readonly SavedFileResult[];
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}

interface PlaceResult {
  readonly position: number;
  readonly token: string;
}

export interface HeadResult extends AttentionComputed {
  readonly layer: number;
  readonly head: number;
  readonly query: PlaceResult;
  readonly key: PlaceResult;
  /** First and last key that the query sees. */
  readonly visible: readonly [number, number];
  readonly window: number | null;
  /** Before cap and mask. */
  readonly score: number;
  readonly capped: number;
  readonly cap_factor: number;
  readonly pattern: number;
  /** The row of the pattern, by key from the first visible one on. */
  readonly pattern_row: readonly number[];
  /** The head's pattern, a row a query, by key up to the query; when asked for. */
  readonly pattern_rows?: readonly (readonly number[])[];
  /** Null where one key is visible. */
  readonly contrasts: { readonly mean: number | null; readonly pattern: number | null };
  readonly against: Against;
  /** Sum of what is decomposed: the score, or the contrast. */
  readonly total: number;
  readonly n_sources: number;
  readonly pairs: readonly {
    readonly query: ResidualSourceResult;
    readonly key: ResidualSourceResult;
    readonly value: number;
  }[];
  /** `total` minus the pairs listed. */
  readonly rest: number;
  readonly query_marginal: readonly MarginalResult[];
  readonly key_marginal: readonly MarginalResult[];
  readonly groups: Readonly<Record<Grouping, readonly string[]>>;
  /** Sums over groups, query groups are rows; when asked for. */
  readonly by?: { readonly grouping: Grouping; readonly values: readonly (readonly number[])[] };
  readonly logit_effects: readonly {
    readonly token_id: number;
    readonly text: string;
    readonly direct: number;
    readonly total: number;
  }[];
}

/** A node at an end of an edge. */
export interface EndResult {
  readonly id: string;
  readonly kind: 'feature' | 'error' | 'token' | 'logit';
  readonly layer: number | null;
  readonly position: number;
  readonly feature: number | null;
  readonly token: string;
  readonly label: string | null;
}

export interface LoadingResult {
  readonly layer: number;
  readonly head: number;
  readonly value: number;
}

export interface EdgeResult {
  readonly source: EndResult;
  readonly target: EndResult;
  readonly weight: number;
  /** What no head carries. */
  readonly direct: number;
  /** By the last head of a path; the query is the target's position. With `direct` they add up to the weight. */
  readonly last: readonly (LoadingResult & { readonly key: number })[];
  /** By the first head of a path; the key is the source's position. */
  readonly first: readonly (LoadingResult & { readonly query: number })[];
  /** Paths that use the head anywhere; these do not add up. */
  readonly through: readonly LoadingResult[];
  /** Paths of this head alone. */
  readonly only: readonly LoadingResult[];
  /** What goes past each layer's heads, [n_layers]. */
  readonly bypass: readonly number[];
  readonly rest_last: number;
  readonly rest_first: number;
}

export interface EdgesResult extends AttentionComputed {
  readonly edges: readonly EdgeResult[];
}

export interface NodeHeadsResult extends AttentionComputed {
  readonly node: EndResult;
  /** What reaches the node without a head and through heads; biases outside of heads are not in it. */
  readonly total: number;
  /** What no head brings. */
  readonly direct: number;
  /**
   * What each head brings as the last one of a path, the query being the node's position, with the key that it takes most from. It is
   * the sum of `last` of the node's links, and what the head has that is constant.
   */
  readonly heads: readonly (LoadingResult & { readonly key: number })[];
  /** `total` minus `direct` and the heads listed. */
  readonly rest: number;
}

export interface HeadsResult extends AttentionComputed {
  readonly target: { readonly token_id: number; readonly text: string };
  /** By the size of their effect on the target. */
  readonly heads: readonly {
    readonly layer: number;
    readonly head: number;
    readonly direct: number;
    readonly total: number;
    /** The strongest entry of `total`. */
    readonly query: number;
    readonly key: number;
    readonly value: number;
  }[];
}

export interface SummaryResult extends AttentionComputed {
  readonly n_links: number;
  readonly node_threshold: number;
  readonly edge_threshold: number;
  /** Of the influence of the graph's links: what reaches its target without a head, or through heads. They add up to 1. */
  readonly shares: { readonly direct: number; readonly heads: number };
  /** By `last`. */
  readonly heads: readonly {
    readonly layer: number;
    readonly head: number;
    /** Share of influence that this head brings to its targets. */
    readonly last: number;
    /** Share of influence that this head takes from its sources. */
    readonly first: number;
    /** The link that it carries most of. */
    readonly strongest: { readonly source: string; readonly target: string; readonly value: number };
  }[];
}
