/** Transcoder sources: SAELens, `sae_weights.safetensors` with `W_enc` [d_in, d_sae]. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { layerSource, required, type LayerSource, type TensorKeys } from './source.ts';

const KEYS: TensorKeys = {
  W_enc: 'W_enc',
  b_enc: 'b_enc',
  W_dec: 'W_dec',
  b_dec: 'b_dec',
  isEncoderTransposed: true,
};
const W_SKIP = 'W_skip';

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
  if (hasSkip) required(file, W_SKIP);
  const keys = hasSkip ? { ...KEYS, W_skip: W_SKIP } : KEYS;
  if (!hasThreshold) return layerSource(file, layer, keys, { kind: 'relu' });
  // ReLU comes before the threshold: between a negative threshold and 0 nothing is active.
  const threshold = required(file, 'threshold');
  return layerSource(file, layer, keys, { kind: 'positive-jumprelu', threshold });
}
