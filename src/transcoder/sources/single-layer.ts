/** Transcoder sources: one file a layer, with `W_enc` [d_transcoder, d_model]: circuit-tracer's own (`layer_<i>.safetensors`). */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { activationIn, type NamedActivation } from './named-activation.ts';
import { optional, ownLayer, required, type LayerSource } from './source.ts';

const THRESHOLD = 'activation_function.threshold';

/** Other tensors than these are ignored: a TopK set may have one for its k. */
export function singleLayer(file: TensorFile, layer: number, named: NamedActivation | null): LayerSource {
  const W_enc = required(file, 'W_enc');
  const W_skip = optional(file, 'W_skip');
  return {
    layer,
    d_transcoder: W_enc.info.shape[0] ?? 0,
    W_enc: { ...W_enc, transposed: false },
    W_dec: ownLayer(required(file, 'W_dec')),
    b_enc: required(file, 'b_enc'),
    b_dec: required(file, 'b_dec'),
    activation: activationIn(file, THRESHOLD, named),
    W_skip: W_skip && { ...W_skip, transposed: false },
  };
}
