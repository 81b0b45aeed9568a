/** Transcoder sources: one file a layer (`layer_<i>.safetensors`), with `W_enc` [d_transcoder, d_model]. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { optional, required, type LayerSource } from './source.ts';

const THRESHOLD = 'activation_function.threshold';

/** Other tensors than these are ignored: a TopK set may have one for its k. */
export function singleLayer(file: TensorFile, layer: number, hasThresholds: boolean): LayerSource {
  const W_enc = required(file, 'W_enc');
  return {
    layer,
    d_transcoder: W_enc.info.shape[0] ?? 0,
    W_enc: { ...W_enc, transposed: false },
    W_dec: required(file, 'W_dec'),
    n_written_layers: 1,
    b_enc: required(file, 'b_enc'),
    b_dec: required(file, 'b_dec'),
    threshold: hasThresholds ? optional(file, THRESHOLD) : null,
    W_skip: optional(file, 'W_skip'),
  };
}
