/** Engine, verbs of `features`: types of requests and results. */
import type { Arithmetic, Device } from '../../backend/backend.ts';
import type { CommonOptions } from '../request.ts';
import type { SavedFileResult, Subject } from '../result.ts';

export const FEATURES_DEFAULTS = {
  /** Tokens of a window, BOS included. */
  context: 128,
  /** Strongest examples of each feature. */
  examples: 10,
  /** Tokens that a decoder promotes, and as many that it suppresses. */
  logits: 10,
} as const;

/** What is shown beside a feature. */
export interface ShownLabel {
  readonly text: string;
  /** Who wrote it: a person, a language model that was asked here, somebody on Neuronpedia, or rules. */
  readonly origin: 'edited' | 'model' | 'neuronpedia' | 'automatic';
  /** Share of the activation that an automatic label covers. */
  readonly share: number | null;
  /** What a label of a language model was made with, and how well it tells texts apart: 1 is all, 0.5 is chance. */
  readonly made_by?: {
    readonly model: string;
    readonly score: number | null;
    readonly prompt_version: number;
  };
  /** Of one from Neuronpedia: method and language model, who asked for it, its score there, and the day it was fetched. */
  readonly fetched?: {
    readonly type: string | null;
    readonly model: string | null;
    readonly author: string | null;
    readonly score: { readonly value: number; readonly type: string | null } | null;
    readonly date: string;
  };
}

export interface FeaturesBuildRequest extends CommonOptions {
  /** Text with one document a line, or JSON Lines with `text`. */
  readonly corpus: string;
  /** Folder for `index.json.gz` and one file a layer; default `features` inside a set that is a local folder. */
  readonly output?: string | undefined;
  /** Default: all. The end is excluded. */
  readonly layers?: { readonly from: number; readonly to: number } | undefined;
  /** Continues an interrupted build. */
  readonly resume?: boolean | undefined;
  readonly context?: number | undefined;
  readonly examples?: number | undefined;
  /** 0: none, which for large vocabularies saves most of the time of writing. */
  readonly logits?: number | undefined;
}

export interface FeaturesBuildResult extends Subject {
  readonly backend: string;
  readonly device: Device;
  readonly dtype: Arithmetic;
  readonly output: string;
  readonly n_documents: number;
  readonly n_windows: number;
  /** Tokens at which features could be active: all but the first of each window. */
  readonly n_tokens: number;
  /** Windows that an interrupted build had read. */
  readonly n_resumed_windows: number;
  readonly layers: readonly {
    readonly layer: number;
    readonly n_features: number;
    /** Active at least once. */
    readonly n_active: number;
  }[];
  /** Memory of the features' statistics, independent of the length of the corpus. */
  readonly state_bytes: number;
  readonly files: readonly SavedFileResult[];
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}

export interface LabelRequest extends CommonOptions {
  readonly layer: number;
  readonly feature: number;
  /** Empty: removes the label. Left out: only shows it. */
  readonly text?: string | undefined;
}

export interface LabelResult {
  readonly transcoders: string;
  readonly layer: number;
  readonly feature: number;
  readonly label: ShownLabel | null;
  /** The file in which it is stored. */
  readonly file: string;
}

export interface LabelsRequest extends CommonOptions {
  /** Labels to take over: a file that was exported, or `{"LAYER_FEATURE": "text"}`. */
  readonly import?: string | undefined;
  /** File to write all labels to. */
  readonly export?: string | undefined;
}

export interface LabelsResult {
  readonly transcoders: string;
  /** What they are of. */
  readonly scan: string;
  readonly file: string;
  readonly labels: readonly { readonly layer: number; readonly feature: number; readonly text: string }[];
  readonly n_imported?: number;
  readonly files?: readonly SavedFileResult[];
}
