/** Transcoder sources: EleutherAI's sparsify, `sae.safetensors` with a linear layer `encoder` and a decoder that is not transposed. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { optional, ownLayer, required, type ActivationSource, type LayerSource } from './source.ts';

export function sparsify(file: TensorFile, layer: number, activation: ActivationSource): LayerSource {
  const W_enc = required(file, 'encoder.weight');
  const W_skip = optional(file, 'W_skip');
  return {
    layer,
    d_transcoder: W_enc.info.shape[0] ?? 0,
    W_enc: { ...W_enc, transposed: false },
    W_dec: ownLayer(required(file, 'W_dec')),
    b_enc: required(file, 'encoder.bias'),
    b_dec: required(file, 'b_dec'),
    activation,
    W_skip: W_skip && { ...W_skip, transposed: false },
  };
}
