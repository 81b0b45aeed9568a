/** Engine, verb `load`: types of the request and the result. */
import type { ActivationKind } from '../../transcoder/activations/activation.ts';
import type { CommonOptions } from '../request.ts';
import type { SourceResult, Spread, Subject } from '../result.ts';

export interface LoadRequest extends CommonOptions {
  /** Headers only: what would be fetched, how many bytes, whether it fits. No weight is read. */
  readonly dryRun?: boolean | undefined;
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
