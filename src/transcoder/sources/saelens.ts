/** Transcoder sources: SAELens, `sae_weights.safetensors` with `W_enc` [d_in, d_sae]. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { ownLayer, required, type LayerSource } from './source.ts';

/** What the architecture says of the tensors that there are. */
export interface SaelensKind {
  readonly hasThreshold: boolean;
  readonly hasSkip: boolean;
}

export function saelens(
  file: TensorFile,
  layer: number,
  { hasThreshold, hasSkip }: SaelensKind,
): LayerSource {
  const W_enc = required(file, 'W_enc');
  return {
    layer,
    d_transcoder: W_enc.info.shape[1] ?? 0,
    W_enc: { ...W_enc, transposed: true },
    W_dec: ownLayer(required(file, 'W_dec')),
    b_enc: required(file, 'b_enc'),
    b_dec: required(file, 'b_dec'),
    // ReLU comes before the threshold: between a negative threshold and 0 nothing is active.
    activation: hasThreshold
      ? { kind: 'positive-jumprelu', threshold: required(file, 'threshold') }
      : { kind: 'relu' },
    W_skip: hasSkip ? { ...required(file, 'W_skip'), transposed: false } : null,
  };
}
