/** Transcoder sources: EleutherAI's sparsify, `sae.safetensors` with a linear layer `encoder` and a decoder that is not transposed. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { layerSource, type ActivationSource, type LayerSource, type TensorKeys } from './source.ts';

const KEYS: TensorKeys = {
  W_enc: 'encoder.weight',
  b_enc: 'encoder.bias',
  W_dec: 'W_dec',
  b_dec: 'b_dec',
  W_skip: 'W_skip',
  isEncoderTransposed: false,
};

export function sparsify(file: TensorFile, layer: number, activation: ActivationSource): LayerSource {
  return layerSource(file, layer, KEYS, activation);
}
