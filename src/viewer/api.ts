/**
 * Viewer: the HTTP interface between the page and the server. Types only: the page's bundle takes no code from here.
 *
 *   GET    /api/info                                   ServerInfo
 *   GET    /api/graphs                                 GraphList
 *   GET    /api/graphs/SLUG?node_threshold&edge_threshold   OpenedGraph (thresholds are those of a graph file)
 *   POST   /api/graphs/SLUG/scores  {pinnedIds}        SubgraphScores (graph files only, else 404)
 *   PUT    /api/graphs/SLUG/annotations  Annotations   Annotations
 *   GET    /api/graphs/SLUG/export.html                one self-contained page with annotations as they were saved
 *   GET    /api/graphs/SLUG/export.json                viewer JSON, annotations in `qParams`
 *   GET    /api/graphs/SLUG/features/LAYER/FEATURE     FeatureDetail
 *   PUT    /api/graphs/SLUG/labels/LAYER/FEATURE  {text}    FeatureDetail; an empty text removes the label
 *   GET    /api/graphs/SLUG/attention                  KeptAttention: what jobs have answered about this graph
 *   GET    /api/trainings                              TrainingList
 *   GET    /api/trainings/NAME?from=BYTES              TrainingEvents: what its log has behind so many bytes
 *   GET    /api/studies                                StudyList
 *   GET    /api/studies/NAME                           StudyDetail
 *   GET    /api/studies/NAME/graphs?by&a&b&feature     GraphsBehind; instead of `feature` (1/392) also `source` and `target`
 *   POST   /api/jobs  JobRequest                       JobStatus
 *   GET    /api/jobs/ID/events                         server-sent events, each a JobStatus; ends after `done`, `failed`, `cancelled`
 *   DELETE /api/jobs/ID                                JobStatus
 *   POST   /api/token?token=TOKEN                      204; sets the cookie of the token
 *
 * Addresses are relative to the base path of the server. Requests other than GET need the token, in the cookie, as `?token=` or as
 * `Authorization: Bearer`; without it the answer is 401 with the code `token_needed`.
 *
 * Errors are `{"error":{"code","message","hint"}}` with a fitting status, as `--json` prints them.
 */
import type { ShownLabel } from '../engine/features/types.ts';
import type { AttributeResult } from '../engine/attribute/types.ts';
import type { EdgesResult, HeadResult, HeadsResult, NodeHeadsResult } from '../engine/attention/types.ts';
import type { MeasuredContrast } from '../engine/study/measure-contrast.ts';
import type { InterveneResult } from '../engine/intervene/types.ts';
import type { Annotations } from '../graph/annotations.ts';
import type { JsonValue } from '../graph/graph.ts';
import type { ViewerGraph } from '../graph/neuronpedia.ts';
import type { GraphBehind } from '../study/behind.ts';
import type { GroupColumn } from '../study/groups.ts';
import type { TrainEvent } from '../trainer/log.ts';
import type { FeaturePage } from '../transcoder/feature-page.ts';

export type { Annotations, TrainEvent };

export interface ServerInfo {
  readonly version: string;
  /** Null when there is no model; `why` then gives the reason. */
  readonly model: { readonly model: string; readonly transcoders: string } | null;
  readonly why: string | null;
}

export interface TrainingEntry {
  /** Of its folder. */
  readonly name: string;
  /** Unix time of the last event. */
  readonly updated_ms: number;
  readonly has_ended: boolean;
}

export interface TrainingList {
  /** The newest first. */
  readonly trainings: readonly TrainingEntry[];
}

export interface TrainingEvents {
  /** In their order; of a great many steps some. */
  readonly events: readonly TrainEvent[];
  /** `from` of the next request. */
  readonly next: number;
  /** The log became shorter than `from`, since an interrupted run was resumed: these events are from its beginning. */
  readonly is_restarted: boolean;
}

export interface StudyEntry {
  /** Of its folder. */
  readonly name: string;
  readonly n_graphs: number;
  readonly scan: string;
  /** Why it cannot be opened; null if nothing is known to be wrong. */
  readonly problem: string | null;
}

export interface StudyList {
  readonly studies: readonly StudyEntry[];
}

export interface StudyDetail extends Omit<StudyEntry, 'problem'> {
  readonly model: string;
  readonly transcoders: string;
  /** Those that graphs can be compared by. */
  readonly columns: readonly GroupColumn[];
}

export interface GraphsBehind {
  /** Of both groups, the most influential first. */
  readonly graphs: readonly (GraphBehind & {
    /** Name of the graph, if it is served. */
    readonly served: string | null;
  })[];
}

export interface GraphEntry {
  readonly slug: string;
  readonly prompt: string;
  readonly scan: string;
  /** A viewer file, which is pruned already, or a graph file, which is pruned at the thresholds of the request. */
  readonly kind: 'viewer' | 'graph';
  /** Null where it is not known before the file is opened. */
  readonly created_ms: number | null;
  readonly bytes: number;
  /** Nodes that pruning left, and scores of the whole graph: of the list of prompts; null where there is none. */
  readonly n_nodes: number | null;
  readonly scores: SubgraphScores | null;
  /** The other columns of the list of prompts. */
  readonly metadata: Readonly<Record<string, JsonValue>>;
  /** Why it cannot be opened; null if nothing is known to be wrong. */
  readonly problem: string | null;
}

export interface GraphList {
  readonly graphs: readonly GraphEntry[];
}

export interface SubgraphScores {
  readonly replacement: number;
  readonly completeness: number;
}

export interface OpenedGraph {
  readonly kind: GraphEntry['kind'];
  readonly graph: ViewerGraph;
  readonly annotations: Annotations;
  /** A circuit to begin with, made by rules; null where a person has annotated the graph, or nothing can be suggested. */
  readonly suggestion: Pick<Annotations, 'pinnedIds' | 'supernodes'> | null;
  /** Of the whole graph; null for a viewer file, which lacks the edges that they are computed from. */
  readonly scores: SubgraphScores | null;
  /** Whether the graph was made with the model of the server, so that it can be steered. */
  readonly can_steer: boolean;
  /** Labels of its features, by `LAYER_FEATURE`. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface FeatureDetail {
  readonly layer: number;
  readonly feature: number;
  /** Null if no source has a page of this feature. */
  readonly page: FeaturePage | null;
  /** The label that a person wrote, else one of a language model, else an automatic one. */
  readonly label: ShownLabel | null;
  /** Its page on Neuronpedia; null if it is not known to have one. */
  readonly neuronpedia: {
    readonly address: string;
    /** What has to be known about the activations there, in a sentence. */
    readonly note: string | null;
  } | null;
}

export interface TraceJob {
  readonly kind: 'trace';
  readonly prompt: string;
  /** Default: made from the prompt. */
  readonly slug?: string;
  /** Puts the prompt into the chat template of the checkpoint, as `--chat`. */
  readonly chat?: boolean;
  /** System message of the chat. */
  readonly system?: string;
}

export interface SteerJob {
  readonly kind: 'steer';
  readonly slug: string;
  /** Features of the graph: each gets `factor` times its activation (0 ablates it). */
  readonly changes: readonly {
    readonly layer: number;
    readonly position: number;
    readonly feature: number;
    readonly factor: number;
  }[];
  /** Whether attention patterns stay those of the original pass (default true). */
  readonly freeze_attention?: boolean;
}

/** Compares the effect on the target that a link of the graph predicts for ablating its source with the measured effect. */
export interface AblateJob {
  readonly kind: 'ablate';
  readonly slug: string;
  readonly source: string;
  readonly target: string;
}

/** Which heads carry a link; which bring most to a node, a feature or logit; why a head looks from a query to a key; the heads by their effect on the first logit. */
export type AttentionQuestion =
  | { readonly about: 'link'; readonly source: string; readonly target: string }
  | { readonly about: 'node'; readonly node: string }
  | {
      readonly about: 'head';
      readonly layer: number;
      readonly head: number;
      readonly query: number;
      /** Default: the key that the head looks at most. */
      readonly key?: number;
      /** The contrast with other keys instead of the score: with their mean, by their pattern, or with one of them. */
      readonly against?: 'mean' | 'pattern' | number;
    }
  | { readonly about: 'heads' };

/** Explains attention. The answer is kept beside the graph. */
export interface AttentionJob {
  readonly kind: 'attention';
  readonly slug: string;
  readonly question: AttentionQuestion;
}

/**
 * Removes what a head brings to a query in the model, as `intervene --remove-head L.H:QUERY[:KEY]`, and compares the effect on the
 * graph's logits that the linear model predicts with the true ones.
 */
export interface RemoveHeadJob {
  readonly kind: 'remove_head';
  readonly slug: string;
  readonly layer: number;
  readonly head: number;
  readonly query: number;
  /** Only what it brings from this key (default: from all). */
  readonly key?: number;
}

/** Compares two groups of a study, values of the column `by`. It needs no model, and DuckDB. */
export interface ContrastJob {
  readonly kind: 'contrast';
  readonly study: string;
  readonly by: string;
  readonly a: string;
  readonly b: string;
}

export type JobRequest = TraceJob | SteerJob | AblateJob | AttentionJob | RemoveHeadJob | ContrastJob;

/** The smallest adjusted p-value first, then the largest difference; of a great many the first 2,000 features and links. */
export interface StudyContrast extends Omit<MeasuredContrast, 'description' | 'by'> {
  readonly by: string;
  /** Labels of all features, also at the ends of links, by `LAYER_FEATURE`. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Of one link. */
export type LinkAnswer = EdgesResult;
export type NodeAnswer = NodeHeadsResult;
/** With `by` (layer); the whole pattern of a head is in one of its answers, the last. */
export type HeadAnswer = HeadResult;
export type HeadsAnswer = HeadsResult;

/** Answers about a graph, the latest last. */
export interface KeptAttention {
  readonly links: readonly LinkAnswer[];
  readonly nodes: readonly NodeAnswer[];
  readonly heads: readonly HeadAnswer[];
  readonly effects: HeadsAnswer | null;
}

export type AttentionAnswer =
  | { readonly about: 'link'; readonly answer: LinkAnswer }
  | { readonly about: 'node'; readonly answer: NodeAnswer }
  | { readonly about: 'head'; readonly answer: HeadAnswer }
  | { readonly about: 'heads'; readonly answer: HeadsAnswer };

export interface AblationResult {
  readonly source: string;
  readonly target: string;
  /** The weight of the link with the opposite sign. */
  readonly predicted: number;
  /** Change of the target's pre-activation, or of its logit minus the mean logit, with everything else frozen. */
  readonly measured: number;
  /** The same change with only attention patterns frozen. */
  readonly free: number;
}

/** Changes of logits before the cap, relative to the mean over the vocabulary. */
export interface HeadRemovalResult {
  readonly layer: number;
  readonly head: number;
  readonly query: number;
  /** Null: all. */
  readonly key: number | null;
  /** Of the logits of the graph, in their order. */
  readonly effects: readonly {
    readonly token_id: number;
    readonly text: string;
    /** By the linear model: the total effect of what is removed with the opposite sign. */
    readonly predicted: number;
    /** In truth, attention patterns held but for what is removed. */
    readonly held: number;
    /** In truth, patterns free: computed anew, then changed. */
    readonly free: number;
  }[];
}

export type JobResult =
  | { readonly kind: 'trace'; readonly slug: string; readonly result: AttributeResult }
  | { readonly kind: 'steer'; readonly result: InterveneResult }
  | { readonly kind: 'ablate'; readonly result: AblationResult }
  | { readonly kind: 'attention'; readonly result: AttentionAnswer }
  | { readonly kind: 'remove_head'; readonly result: HeadRemovalResult }
  | { readonly kind: 'contrast'; readonly result: StudyContrast };

export interface JobStatus {
  readonly id: string;
  readonly state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  /** Number of jobs before it. */
  readonly ahead: number;
  readonly progress: {
    readonly message: string;
    readonly done: number | null;
    readonly total: number | null;
  } | null;
  /** Warnings of the engine, such as a change without effect. */
  readonly warnings: readonly string[];
  readonly result: JobResult | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string } | null;
}

/**
 * The data of a page that was exported as one file, in `<script type="application/json" id="tracer-export">`. Such a page sends no
 * requests.
 */
export interface ExportedPage {
  readonly version: string;
  readonly slug: string;
  readonly opened: OpenedGraph;
  /** By `LAYER_FEATURE`. */
  readonly features: Readonly<Record<string, FeatureDetail>>;
  /** Left out: no answers. */
  readonly attention?: KeptAttention;
}
