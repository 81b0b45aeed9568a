/** Engine, verb `features explain`: types of the request and the result. */
import type { ModelLabel } from '../../features/model-labels.ts';
import type { Message } from '../../llm/llm.ts';
import type { CommonOptions } from '../request.ts';

export const EXPLAIN_DEFAULTS = {
  /** Texts with the feature that are shown. */
  examples: 10,
  /** Texts with the feature, and as many without it, that a label is scored on. */
  heldOut: 8,
  concurrency: 4,
  /** Of one answer; models that reason need most of them for that. */
  maxTokens: 1024,
  /** A model on a laptop may take minutes for an answer. */
  timeoutSeconds: 300,
} as const;

export interface FeaturesExplainRequest extends CommonOptions {
  /** Default: `OPENAI_BASE_URL`. */
  readonly baseUrl?: string | undefined;
  /** The language model that writes labels, as its server knows it. A dry run needs none. */
  readonly explainer?: string | undefined;
  /** The language model that scores them; default: the same. */
  readonly scorer?: string | undefined;
  /** Variable of the environment that holds the key; default `OPENAI_API_KEY`. */
  readonly keyVariable?: string | undefined;
  /** Features to label. One of `features`, `graph` and `layers` is needed. */
  readonly chosen?: readonly { readonly layer: number; readonly feature: number }[] | undefined;
  /** A graph file, whose features are labelled, the most influential first. */
  readonly graph?: string | undefined;
  /** All features of these layers; the end is excluded. */
  readonly layers?: { readonly from: number; readonly to: number } | undefined;
  /** At most so many new labels. */
  readonly limit?: number | undefined;
  /** A folder with pages, which is searched first. */
  readonly features?: string | undefined;
  readonly examples?: number | undefined;
  readonly heldOut?: number | undefined;
  /** Tokens that the run may cost, prompts and answers. */
  readonly budget?: number | undefined;
  readonly concurrency?: number | undefined;
  readonly maxTokens?: number | undefined;
  readonly timeoutSeconds?: number | undefined;
  /** Labels features again that have a label of the same models and prompts. */
  readonly again?: boolean | undefined;
  /** Sends nothing: the first prompts, and what all of them would cost. */
  readonly dryRun?: boolean | undefined;
}

export interface ModelLabelResult extends ModelLabel {
  readonly layer: number;
  readonly feature: number;
}

interface Explained {
  readonly transcoders: string;
  readonly scan: string;
  /** Where the labels are kept. */
  readonly file: string;
  readonly explainer: string | null;
  readonly scorer: string | null;
  readonly prompt_version: number;
  /** Chosen ones. */
  readonly n_features: number;
  /** Had a label of the same models and prompts before. */
  readonly n_skipped: number;
  /** Have no page, or one without examples. */
  readonly n_without_examples: number;
}

export interface FeaturesExplainResult extends Explained {
  readonly dry_run: false;
  /** Host and port. */
  readonly server: string;
  readonly n_labelled: number;
  /** Of those that have a score; null without any. */
  readonly mean_score: number | null;
  /** Why it ended before all were labelled. */
  readonly stopped: 'budget' | 'limit' | null;
  /** As the server counts; estimated where it does not. */
  readonly tokens: { readonly prompt: number; readonly completion: number; readonly budget: number | null };
  readonly labels: readonly ModelLabelResult[];
  readonly failed: readonly { readonly layer: number; readonly feature: number; readonly reason: string }[];
  readonly timings_ms: Readonly<Record<string, number>>;
}

export interface FeaturesExplainPlan extends Explained {
  readonly dry_run: true;
  /** The first request, and the request for the score of its label; null where there is nothing to do. */
  readonly first: {
    readonly layer: number;
    readonly feature: number;
    readonly messages: readonly Message[];
    /** With the text `LABEL` in place of the label; null where the page has too few texts. */
    readonly score_messages: readonly Message[] | null;
  } | null;
  readonly cost: {
    /** That would be labelled; a scaled number where pages were looked at only in part. */
    readonly n_features: number;
    readonly n_requests: number;
    readonly prompt_tokens: number;
    /** If every answer were as long as allowed. */
    readonly most_completion_tokens: number;
    /** Features whose pages were looked at; the rest is taken to be like them. */
    readonly n_sampled: number;
  };
}
