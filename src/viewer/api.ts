/**
 * Viewer: what the page and the server say to each other. Types only, so that the page's bundle takes nothing else from here.
 *
 *   GET    /api/info                                   ServerInfo
 *   GET    /api/graphs                                 GraphList
 *   GET    /api/graphs/SLUG?node_threshold&edge_threshold   OpenedGraph (thresholds are those of a graph file)
 *   POST   /api/graphs/SLUG/scores  {pinnedIds}        SubgraphScores (graph files only, else 404)
 *   PUT    /api/graphs/SLUG/annotations  Annotations   Annotations
 *   GET    /api/graphs/SLUG/export.html                one self-contained page with annotations as they were saved
 *   GET    /api/graphs/SLUG/export.json                viewer JSON, annotations in `qParams`
 *   GET    /api/graphs/SLUG/features/LAYER/FEATURE     FeatureDetail
 *   PUT    /api/graphs/SLUG/labels/LAYER/FEATURE  {text}    FeatureDetail; an empty text takes the label back
 *   POST   /api/jobs  JobRequest                       JobStatus
 *   GET    /api/jobs/ID/events                         server-sent events, each a JobStatus; ends after `done`, `failed`, `cancelled`
 *   DELETE /api/jobs/ID                                JobStatus
 *   POST   /api/token?token=TOKEN                      no body; sets the cookie that stands for the token
 *
 * Addresses are relative to the server's base path. What is not GET needs the token, in the cookie, as `?token=` or as
 * `Authorization: Bearer`; without it the answer is 401 with the code `token_needed`.
 *
 * Errors are `{"error":{"code","message","hint"}}` with a fitting status, as `--json` prints them.
 */
import type { AttributeResult } from '../engine/attribute/types.ts';
import type { InterveneResult } from '../engine/intervene/types.ts';
import type { Annotations } from '../graph/annotations.ts';
import type { ViewerGraph } from '../graph/neuronpedia.ts';
import type { FeaturePage } from '../transcoder/feature-page.ts';

export type { Annotations };

export interface ServerInfo {
  readonly version: string;
  /** Null when no model was given and none could be taken from the graphs; `why` then says so. */
  readonly model: { readonly model: string; readonly transcoders: string } | null;
  readonly why: string | null;
}

export interface GraphEntry {
  readonly slug: string;
  readonly prompt: string;
  readonly scan: string;
  /** A pruned viewer file, or a graph file that is pruned as asked. */
  readonly kind: 'viewer' | 'graph';
  readonly created_ms: number | null;
  readonly bytes: number;
  /** Why it cannot be opened; null when nothing is known against it. */
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
  /** Of the whole graph; null for a viewer file, which has lost what they are computed from. */
  readonly scores: SubgraphScores | null;
  /** Whether the loaded model is the one of this graph, so that it can be steered. */
  readonly can_steer: boolean;
  /** Labels known for its features, by `LAYER_FEATURE`. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface FeatureDetail {
  readonly layer: number;
  readonly feature: number;
  /** Null when no source has a page of this feature. */
  readonly page: FeaturePage | null;
  /** What is shown: one that a person wrote, else an automatic one. */
  readonly label: {
    readonly text: string;
    readonly origin: 'edited' | 'automatic';
    readonly share: number | null;
  } | null;
  /** Page of this feature elsewhere, for when there is a network; null when it is not known to have one. */
  readonly neuronpedia: string | null;
}

export interface TraceJob {
  readonly kind: 'trace';
  readonly prompt: string;
  /** Default: made from the prompt. */
  readonly slug?: string;
}

export interface SteerJob {
  readonly kind: 'steer';
  readonly slug: string;
  /** Of features of the graph: each gets `factor` times its activation (0 ablates). */
  readonly changes: readonly {
    readonly layer: number;
    readonly position: number;
    readonly feature: number;
    readonly factor: number;
  }[];
  /** Attention patterns stay those of the original pass (default true). */
  readonly freeze_attention?: boolean;
}

/** What a link of the graph says will happen when its source is ablated, and what happens to its target. */
export interface AblateJob {
  readonly kind: 'ablate';
  readonly slug: string;
  readonly source: string;
  readonly target: string;
}

export type JobRequest = TraceJob | SteerJob | AblateJob;

export interface AblationResult {
  readonly source: string;
  readonly target: string;
  /** The link's weight with its sign turned: what is to be lost. */
  readonly predicted: number;
  /** Change of the target's pre-activation, or of the logit less the mean logit, with everything else frozen. */
  readonly measured: number;
  /** The same change when only attention patterns are frozen. */
  readonly free: number;
}

export type JobResult =
  | { readonly kind: 'trace'; readonly slug: string; readonly result: AttributeResult }
  | { readonly kind: 'steer'; readonly result: InterveneResult }
  | { readonly kind: 'ablate'; readonly result: AblationResult };

export interface JobStatus {
  readonly id: string;
  readonly state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  /** Jobs before it. */
  readonly ahead: number;
  readonly progress: {
    readonly message: string;
    readonly done: number | null;
    readonly total: number | null;
  } | null;
  /** What the engine warned of, such as a change that changes nothing. */
  readonly warnings: readonly string[];
  readonly result: JobResult | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string } | null;
}

/**
 * What a page that was exported as one file finds in itself, in `<script type="application/json" id="tracer-export">`: it
 * then asks no server.
 */
export interface ExportedPage {
  readonly version: string;
  readonly slug: string;
  readonly opened: OpenedGraph;
  /** By `LAYER_FEATURE`. */
  readonly features: Readonly<Record<string, FeatureDetail>>;
}
