/**
 * What the engine answers. The JSON form of a result is the `data` of `--json`, hence the snake_case: scripts, views and
 * the library read the same fields. Bytes are bytes, times are milliseconds; a field that does not apply is null or absent.
 */
import type { Arithmetic, Device } from '../backend/backend.ts';

/** Which model and set an answer is about, as the user would name them again. */
export interface Subject {
  readonly model: string;
  readonly transcoders: string;
}

/** Where a name led to. */
export interface SourceResult {
  readonly name: string;
  readonly kind: 'preset' | 'hub' | 'folder';
  /** `owner/name`, for what comes from the Hub. */
  readonly repository?: string;
  readonly subfolder?: string;
  /** The commit that a branch or tag stood for. */
  readonly commit?: string;
  /** Files that a set lists from other repositories, with the commits they came from. */
  readonly linked?: readonly {
    readonly file: string;
    readonly repository: string;
    readonly commit: string;
  }[];
  /** The folder on this machine, once the files are there. */
  readonly folder?: string;
}

/** Range of a per-feature number. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

// ---- load

/** `missing`: would be fetched (dry run); `partial`: a part of it is in the cache and would be gone on with. */
export type FileStatus = 'cached' | 'downloaded' | 'local' | 'partial' | 'missing';

export interface FileResult {
  readonly path: string;
  readonly bytes: number;
  readonly status: FileStatus;
}

export type ActivationName = 'relu' | 'jumprelu' | 'topk';

export interface TranscoderLayerResult {
  readonly layer: number;
  readonly activation: ActivationName;
  /** Values kept a position, for `topk`. */
  readonly k?: number;
  /** Null when the activation has none, and in a dry run (it is a weight, and no weight is read). */
  readonly threshold: Spread | null;
  readonly d_transcoder: number;
  readonly has_skip: boolean;
  /** Storage type, in plain words (`bfloat16`). */
  readonly dtype: string;
}

/** Whether what is needed is there. */
export interface RoomResult {
  readonly needed_bytes: number;
  readonly available_bytes: number;
}

export interface LoadResult extends Subject {
  readonly dry_run: boolean;
  readonly sources: { readonly model: SourceResult; readonly transcoders: SourceResult };
  readonly files: readonly FileResult[];
  /** Keys of the set, as the notebook prints them: its layers. */
  readonly transcoder_keys: readonly number[];
  readonly layers: readonly TranscoderLayerResult[];
  /** Both memory and disk are large enough. */
  readonly fits: boolean;
  readonly memory: RoomResult;
  /** For the files that are not here yet. */
  readonly disk: RoomResult;
  readonly timings_ms: Readonly<Record<string, number>>;
}

// ---- configure

export interface ConfigureResult extends Subject {
  readonly device: Device;
  /** `tensorflow` or `wasm`. */
  readonly backend: string;
  /** `TensorFlow 2.21.0` */
  readonly backend_version: string;
  readonly dtype: Arithmetic;
  readonly n_layers: number;
  readonly n_transcoders: number;
  readonly feature_input_hook: string;
  readonly feature_output_hook: string;
  /** What feature pages are looked up under: the repository (or folder) of the set. */
  readonly scan: string | null;
  readonly all_mlps_replaced: boolean;
  readonly unembed_replaced: boolean;
  readonly n_skip_connections: number;
  readonly parameters_frozen: boolean;
  readonly n_parameters: number;
  /** Hook names, counted from the freeze table. */
  readonly gradient_enabled_at: readonly string[];
  readonly gradient_stopped_at: readonly string[];
  /** Bytes of parameters held in memory. */
  readonly bytes: number;
  /** Bytes of parameters beyond the memory budget: read from their files on every use. */
  readonly streamed_bytes: number;
  /** How the weights are held: `as stored (bfloat16), widened when multiplied`. */
  readonly storage?: string;
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}

// ---- run

export interface TokenResult {
  readonly position: number;
  readonly id: number;
  readonly text: string;
}

export interface NextTokenResult {
  readonly token_id: number;
  readonly text: string;
  readonly logit: number;
  readonly probability: number;
}

export interface FeatureResult {
  readonly layer: number;
  readonly position: number;
  readonly feature: number;
  readonly activation: number;
}

export interface SavedFileResult {
  readonly path: string;
  readonly bytes: number;
}

export interface RunResult extends Subject {
  readonly backend: string;
  readonly device: Device;
  readonly dtype: Arithmetic;
  readonly tokens: readonly TokenResult[];
  /** Logits, `[1, T, V]`. */
  readonly output: { readonly shape: readonly [number, number, number]; readonly dtype: string };
  readonly top: readonly NextTokenResult[];
  /** The strongest of each position, by position, then by activation; only when asked for. */
  readonly features?: readonly FeatureResult[];
  readonly files?: readonly SavedFileResult[];
  /** Present when something was expected; it was met, or the verb would have thrown. */
  readonly expectation?: { readonly expected: readonly string[]; readonly min_probability: number | null };
  /** `load`, `forward`, … */
  readonly timings_ms: Readonly<Record<string, number>>;
  /** Milliseconds of each later pass (`--repeat`). */
  readonly repeats_ms?: readonly number[];
  readonly peak_rss_bytes: number;
}

// ---- inspect

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
  /** File that holds it, or the index of its shards. */
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
  readonly model_kind: 'transcoder_set' | 'cross_layer_transcoder';
  /** The model that the set says it was made for. */
  readonly model_name: string;
  readonly n_transcoders: number;
  readonly activation: ActivationName;
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
  readonly transcoder_details: TranscoderSetDetails;
}

export interface InspectLayerResult extends Subject {
  readonly view: 'layer';
  readonly layer: number;
  readonly hooks: readonly HookResult[];
  readonly weights: readonly WeightResult[];
  readonly transcoder: TranscoderLayerResult & {
    readonly encoder_norm: Spread;
    readonly decoder_norm: Spread;
    readonly encoder_bias: Spread;
    readonly bytes: number;
  };
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

/** What the set itself says of a feature, measured by those who made it. */
export interface FeaturePageResult {
  /** Computed by rules from examples, with the share of the activation that it covers. */
  readonly label: { readonly text: string; readonly share: number; readonly automatic: true } | null;
  /** Share of tokens at which the feature is active. */
  readonly activation_frequency: number;
  readonly largest_activation: number;
  readonly examples: readonly FeatureExampleResult[];
}

export interface InspectFeatureResult extends Subject {
  readonly view: 'feature';
  readonly layer: number;
  readonly feature: number;
  readonly activation: ActivationName;
  readonly encoder_norm: number;
  /** Of the decoder row; for a cross-layer feature, of its row into each layer from its own on, taken together. */
  readonly decoder_norm: number;
  /** Cross-layer features only. */
  readonly decoder_norms?: readonly { readonly layer: number; readonly norm: number }[];
  readonly threshold: number | null;
  readonly bias: number;
  readonly promotes: readonly TokenEffectResult[];
  readonly suppresses: readonly TokenEffectResult[];
  /** Present when somebody wrote one, else when its page has an automatic one. */
  readonly label?: {
    readonly text: string;
    readonly origin: 'edited' | 'automatic';
    /** Share of its activation that an automatic label covers. */
    readonly share: number | null;
  };
  /** Present when the set brings feature pages along, or a folder of them was named. */
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
