/** Transcoder sources: one file a layer, `W_enc` [d_transcoder, d_model] and friends (`layer_<i>.safetensors`). */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { optional, required, type LayerSource } from './source.ts';

const THRESHOLD = 'activation_function.threshold';

/** A TopK set may carry its k as a tensor of its own; other keys than these are not looked at. */
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
