/**
 * Transcoder sources: Gemma Scope 2, one safetensors file a layer with lower-case keys. `w_enc` is [d_model, d_transcoder] and the
 * affine skip [d_model in, d_model out], applied as x · affine_skip_connection.
 */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { activationIn, type NamedActivation } from './named-activation.ts';
import { layerSource, required, type ActivationSource, type LayerSource, type TensorKeys } from './source.ts';

const KEYS: TensorKeys = {
  W_enc: 'w_enc',
  b_enc: 'b_enc',
  W_dec: 'w_dec',
  b_dec: 'b_dec',
  W_skip: 'affine_skip_connection',
  isEncoderTransposed: true,
  isSkipTransposed: true,
};
const THRESHOLD = 'threshold';

/** Lower-case keys tell it from the other layouts; one of them, so that whatever else is missing is named. */
export function isGemmaScope2(file: TensorFile): boolean {
  return [KEYS.W_enc, KEYS.W_dec].some((key) => file.tensors.has(key));
}

export function gemmaScope2(file: TensorFile, layer: number, named: NamedActivation | null): LayerSource {
  const activation: ActivationSource = named
    ? activationIn(file, THRESHOLD, named)
    : { kind: 'jumprelu', threshold: required(file, THRESHOLD) };
  return layerSource(file, layer, KEYS, activation);
}

/**
 * The cross-layer form, `w_dec` [d_transcoder, n_layers, d_model]: slot t writes into layer t. Slots below the feature's own layer are
 * in the file and mean nothing.
 */
export function gemmaScope2Cross(
  file: TensorFile,
  layer: number,
  named: NamedActivation | null,
  n_layers: number,
): LayerSource {
  const own = gemmaScope2(file, layer, named);
  const slots = { n_written_layers: n_layers - layer, n_slots: n_layers, firstSlot: layer };
  return { ...own, W_dec: { ...own.W_dec, ...slots } };
}
