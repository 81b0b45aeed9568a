/** Transcoder sources: Gemma Scope's `params.npz`, with `W_enc` transposed, [d_model, d_transcoder]. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { required, type LayerSource } from './source.ts';

/** The key that only this layout has. */
const THRESHOLD = 'threshold';

export function isGemmaScope(file: TensorFile): boolean {
  return file.tensors.has(THRESHOLD) && file.tensors.has('W_enc');
}

export function gemmaScope(file: TensorFile, layer: number, hasThresholds: boolean): LayerSource {
  const W_enc = required(file, 'W_enc');
  return {
    layer,
    d_transcoder: W_enc.info.shape[1] ?? 0,
    W_enc: { ...W_enc, transposed: true },
    W_dec: required(file, 'W_dec'),
    n_written_layers: 1,
    b_enc: required(file, 'b_enc'),
    b_dec: required(file, 'b_dec'),
    threshold: hasThresholds ? required(file, THRESHOLD) : null,
    W_skip: null,
  };
}
