/** Transcoder sources: Gemma Scope's `params.npz`, with `W_enc` [d_model, d_transcoder]. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { activationIn, type NamedActivation } from './named-activation.ts';
import { ownLayer, required, type LayerSource } from './source.ts';

/** The key that tells this layout from circuit-tracer's. */
const THRESHOLD = 'threshold';

export function isGemmaScope(file: TensorFile): boolean {
  return file.tensors.has(THRESHOLD) && file.tensors.has('W_enc');
}

export function gemmaScope(file: TensorFile, layer: number, named: NamedActivation | null): LayerSource {
  const W_enc = required(file, 'W_enc');
  return {
    layer,
    d_transcoder: W_enc.info.shape[1] ?? 0,
    W_enc: { ...W_enc, transposed: true },
    W_dec: ownLayer(required(file, 'W_dec')),
    b_enc: required(file, 'b_enc'),
    b_dec: required(file, 'b_dec'),
    activation: activationIn(file, THRESHOLD, named),
    W_skip: null,
  };
}
