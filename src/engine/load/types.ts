/** Engine, verb `load`: types of the request and the result. */
import type { ActivationKind } from '../../transcoder/activations/activation.ts';
import type { CommonOptions } from '../request.ts';
import type { SourceResult, Spread, Subject } from '../result.ts';

export interface LoadRequest extends CommonOptions {
  /** Headers only: what would be fetched, how many bytes, whether it fits. No weight is read. */
  readonly dryRun?: boolean | undefined;
}

/** A short name for a model or set, and what it stands for. */
export interface PresetResult {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly description: string;
  /** On the Hub. */
  readonly repository?: string;
  readonly subfolder?: string;
  readonly revision?: string;
  /** Whether `revision` is a branch, which may stand for another commit next time. */
  readonly follows_branch?: boolean;
  /** On this machine, for what ships with the package. */
  readonly folder?: string;
}

export interface ModelPresetResult extends PresetResult {
  readonly n_layers: number | null;
  readonly d_model: number | null;
  readonly n_parameters: number | null;
  /** Whether its terms have to be accepted on its page first. */
  readonly gated: boolean;
}

export interface SetPresetResult extends PresetResult {
  readonly model: string | null;
  readonly kind: 'per-layer' | 'cross-layer';
  readonly n_layers: number | null;
  readonly n_features_a_layer: number | null;
  readonly n_parameters: number | null;
  /** Of its model. */
  readonly gated: boolean;
  /** Its pages on Neuronpedia, `model/source`; `{layer}` stands for the layer. */
  readonly neuronpedia: string | null;
}

export interface ListResult {
  readonly models: readonly ModelPresetResult[];
  readonly transcoders: readonly SetPresetResult[];
}

/** `missing`: would be fetched (dry run); `partial`: a part of it is in the cache, and the download would resume. */
export type FileStatus = 'cached' | 'downloaded' | 'local' | 'partial' | 'missing';

export interface FileResult {
  readonly path: string;
  readonly bytes: number;
  readonly status: FileStatus;
}

export interface TranscoderLayerResult {
  readonly layer: number;
  readonly activation: ActivationKind;
  /** Values kept a position, for `topk`; groups, for `groupmax`. */
  readonly k?: number;
  /** Null when the activation has none, and in a dry run (it is a weight, and no weight is read). */
  readonly threshold: Spread | null;
  readonly d_transcoder: number;
  readonly has_skip: boolean;
  /** Storage type, in plain words (`bfloat16`). */
  readonly dtype: string;
}

/** Whether enough of it is available. */
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
