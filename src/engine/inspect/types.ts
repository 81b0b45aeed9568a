/** Engine, verb `inspect`: types of the request and the result. */
import type { FeatureLabel, FetchedOrigin } from '../../transcoder/feature-page.ts';
import type { ActivationKind } from '../../transcoder/activations/activation.ts';
import type { SetKind } from '../../transcoder/description.ts';
import type { TranscoderLayerResult } from '../load/types.ts';
import type { ShownLabel } from '../features/types.ts';
import type { CommonOptions } from '../request.ts';
import type { SourceResult, Spread, Subject } from '../result.ts';

export type InspectView =
  | { readonly view: 'summary' }
  | { readonly view: 'layer'; readonly layer: number }
  | {
      readonly view: 'feature';
      readonly layer: number;
      readonly feature: number;
      readonly top?: number | undefined;
    }
  /** `pattern`: hook names, `*` stands for any letters; left out: all. */
  | { readonly view: 'hooks'; readonly pattern?: string | undefined }
  | { readonly view: 'weights'; readonly pattern?: string | undefined };

export interface InspectRequest extends CommonOptions {
  readonly show: InspectView;
  /** Folder with feature pages, searched before those of the set. */
  readonly features?: string | undefined;
}

/** `['pos', 2304]`: numbers where the configuration fixes them, words where the prompt does. */
export type HookShape = readonly (number | string)[];

export interface HookResult {
  readonly name: string;
  readonly shape: HookShape;
}

export interface WeightResult {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly bytes: number;
  /** File that holds it. */
  readonly file?: string;
}

export interface ModelDetails {
  /** `Gemma2ForCausalLM` */
  readonly architecture: string;
  readonly n_layers: number;
  readonly d_model: number;
  readonly n_heads: number;
  readonly n_key_value_heads: number;
  readonly d_head: number;
  readonly d_mlp: number;
  readonly d_vocab: number;
  readonly n_ctx: number;
  readonly window_size: number | null;
  readonly n_parameters: number;
  readonly dtype: string;
  readonly bytes: number;
  readonly n_hooks: number;
}

export interface TranscoderSetDetails {
  readonly model_kind: SetKind;
  /** The layout of its files. */
  readonly layout: string;
  /** The model that the set says it was made for. */
  readonly model_name: string;
  readonly n_transcoders: number;
  /** `mixed` where layers differ. */
  readonly activation: ActivationKind | 'mixed';
  /** Features of a layer; of the widest where they differ. */
  readonly d_transcoder: number;
  readonly n_features: number;
  readonly n_skip_connections: number;
  readonly feature_input_hook: string;
  readonly feature_output_hook: string;
  readonly scan: string | null;
  readonly dtype: string;
  readonly bytes: number;
}

export interface InspectSummaryResult extends Subject {
  readonly view: 'summary';
  readonly sources: { readonly model: SourceResult; readonly transcoders: SourceResult };
  readonly model_details: ModelDetails;
  /** Null for a model alone. */
  readonly transcoder_details: TranscoderSetDetails | null;
}

export interface TranscoderDetails extends TranscoderLayerResult {
  readonly encoder_norm: Spread;
  readonly decoder_norm: Spread;
  readonly encoder_bias: Spread;
  readonly bytes: number;
}

export interface InspectLayerResult extends Subject {
  readonly view: 'layer';
  readonly layer: number;
  readonly hooks: readonly HookResult[];
  readonly weights: readonly WeightResult[];
  /** Null for a model alone. */
  readonly transcoder: TranscoderDetails | null;
}

/** A token and how much one unit of the feature adds to its logit, on the direct path. */
export interface TokenEffectResult {
  readonly token_id: number;
  readonly text: string;
  readonly effect: number;
}

/** A stretch of text and how active the feature is at each of its tokens. */
export interface FeatureExampleResult {
  readonly tokens: readonly string[];
  readonly activations: readonly number[];
  /** The token that the example is about. */
  readonly position: number;
}

/** Data about a feature that its set publishes. */
export interface FeaturePageResult {
  /** Computed by rules from examples, with the share of the activation that it covers. */
  readonly label: FeatureLabel | null;
  /** Share of tokens at which the feature is active. */
  readonly activation_frequency: number;
  readonly largest_activation: number;
  readonly examples: readonly FeatureExampleResult[];
  /** Where the page is from, if it was fetched, with what has to be known about its numbers and all explanations. */
  readonly fetched?: FetchedOrigin;
}

export interface InspectFeatureResult extends Subject {
  readonly view: 'feature';
  readonly layer: number;
  readonly feature: number;
  readonly activation: ActivationKind;
  readonly encoder_norm: number;
  /** Of the decoder row; for a cross-layer feature, of its row into each layer from its own on, taken together. */
  readonly decoder_norm: number;
  /** Cross-layer features only. */
  readonly decoder_norms?: readonly { readonly layer: number; readonly norm: number }[];
  readonly threshold: number | null;
  readonly bias: number;
  readonly promotes: readonly TokenEffectResult[];
  readonly suppresses: readonly TokenEffectResult[];
  /** The label that a person wrote, else that of a language model, else the automatic one of its page; absent without any. */
  readonly label?: ShownLabel;
  /** Present when the set has feature pages, or a folder of them was named. */
  readonly page?: FeaturePageResult;
}

export interface InspectHooksResult extends Subject {
  readonly view: 'hooks';
  readonly pattern: string | null;
  readonly hooks: readonly HookResult[];
}

export interface InspectWeightsResult extends Subject {
  readonly view: 'weights';
  readonly pattern: string | null;
  readonly weights: readonly WeightResult[];
  readonly bytes: number;
}

export type InspectResult =
  | InspectSummaryResult
  | InspectLayerResult
  | InspectFeatureResult
  | InspectHooksResult
  | InspectWeightsResult;
