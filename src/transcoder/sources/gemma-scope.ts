/** Transcoder sources: Gemma Scope's `params.npz`, with `W_enc` [d_model, d_transcoder]. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { activationIn, type NamedActivation } from './named-activation.ts';
import { layerSource, type LayerSource, type TensorKeys } from './source.ts';

const KEYS: TensorKeys = {
  W_enc: 'W_enc',
  b_enc: 'b_enc',
  W_dec: 'W_dec',
  b_dec: 'b_dec',
  isEncoderTransposed: true,
};
/** The key that tells this layout from circuit-tracer's. */
const THRESHOLD = 'threshold';

export function isGemmaScope(file: TensorFile): boolean {
  return file.tensors.has(THRESHOLD) && file.tensors.has(KEYS.W_enc);
}

export function gemmaScope(file: TensorFile, layer: number, named: NamedActivation | null): LayerSource {
  return layerSource(file, layer, KEYS, activationIn(file, THRESHOLD, named));
}
