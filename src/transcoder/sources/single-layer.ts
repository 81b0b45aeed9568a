/** Transcoder sources: one file a layer, with `W_enc` [d_transcoder, d_model]: circuit-tracer's own (`layer_<i>.safetensors`). */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { activationIn, type NamedActivation } from './named-activation.ts';
import { layerSource, type LayerSource, type TensorKeys } from './source.ts';

const KEYS: TensorKeys = {
  W_enc: 'W_enc',
  b_enc: 'b_enc',
  W_dec: 'W_dec',
  b_dec: 'b_dec',
  W_skip: 'W_skip',
  isEncoderTransposed: false,
};
const THRESHOLD = 'activation_function.threshold';

/** Other tensors than these are ignored: a TopK set may have one for its k. */
export function singleLayer(file: TensorFile, layer: number, named: NamedActivation | null): LayerSource {
  return layerSource(file, layer, KEYS, activationIn(file, THRESHOLD, named));
}
