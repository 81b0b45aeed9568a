/** Engine, verb `configure`: types of the request and the result. */
import type { Arithmetic, Device } from '../../backend/backend.ts';
import type { ConfigurationSummary } from '../../replacement/summary.ts';
import type { CommonOptions } from '../request.ts';
import type { Subject } from '../result.ts';

export type ConfigureRequest = CommonOptions;

export interface ConfigureResult extends Subject, Omit<ConfigurationSummary, 'heldBytes' | 'streamedBytes'> {
  readonly device: Device;
  /** `tensorflow` or `wasm`. */
  readonly backend: string;
  /** `TensorFlow 2.21.0` */
  readonly backend_version: string;
  readonly dtype: Arithmetic;
  /** Name under which feature pages are looked up: the repository (or folder) of the set. */
  readonly scan: string | null;
  readonly all_mlps_replaced: boolean;
  readonly unembed_replaced: boolean;
  readonly parameters_frozen: boolean;
  readonly n_parameters: number;
  /** Bytes of parameters held in memory. */
  readonly bytes: number;
  /** Bytes of parameters beyond the memory budget: read from their files on every use. */
  readonly streamed_bytes: number;
  /** How the weights are held: `as stored (bfloat16), widened when multiplied`. */
  readonly storage?: string;
  /** The files that were read, inside their folders or repositories; files of a set from elsewhere by address or path. */
  readonly weight_files: { readonly model: readonly string[]; readonly transcoders: readonly string[] };
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}
