/** Transcoder sources: where the tensors of one layer lie, whatever the layout. One layout a file in this folder. */
import type { WeightInfo } from '../../backend/weight-source.ts';
import { BadFileError } from '../../errors.ts';
import type { TensorFile } from '../../formats/tensor-file.ts';
import { weightInfo } from '../../model/weight-info.ts';

/** A tensor of an opened file. */
export interface Located {
  readonly file: TensorFile;
  readonly info: WeightInfo;
}

/** One layer of a set, from headers alone. */
export interface LayerSource {
  readonly layer: number;
  readonly d_transcoder: number;
  /** Logical shape [d_transcoder, d_model]. */
  readonly W_enc: Located & { readonly transposed: boolean };
  /** [d_transcoder, d_model], or [d_transcoder, n_written_layers, d_model]. */
  readonly W_dec: Located;
  /** Layers written, from `layer` on: 1, or up to the last layer for a cross-layer transcoder. */
  readonly n_written_layers: number;
  readonly b_enc: Located;
  readonly b_dec: Located;
  /** One a feature, or a single one for all; null where the set names an activation without thresholds. */
  readonly threshold: Located | null;
  /** [d_model, d_model], applied as x · W_skipᵀ. */
  readonly W_skip: Located | null;
}

/** A tensor if it is there, with any shape. Throws `BadFileError` when its type is not a type of weights. */
export function optional(file: TensorFile, key: string): Located | null {
  const info = file.tensors.get(key);
  return info ? { file, info: weightInfo(file.name, info, 'transcoder set') } : null;
}

/** A tensor that has to be there. Throws `BadFileError` naming it. */
export function required(file: TensorFile, key: string): Located {
  const located = optional(file, key);
  if (located) return located;
  throw new BadFileError({
    code: 'missing_tensor',
    message: `${file.name} has no tensor ${key}; it has ${[...file.tensors.keys()].join(', ') || 'none'}`,
    hint: 'docs/formats.md lists the layouts of transcoder sets that are known.',
  });
}

/** Refuses a tensor of another shape than the model calls for. */
export function expectShape(located: Located, expected: readonly number[], why: string): void {
  const { file, info } = located;
  if (info.shape.join() === expected.join()) return;
  throw new BadFileError({
    code: 'tensor_shape',
    message: `${file.name}: ${info.name} is [${info.shape.join(', ')}], expected [${expected.join(', ')}] (${why})`,
    hint: 'Was this set made for another model?',
  });
}
