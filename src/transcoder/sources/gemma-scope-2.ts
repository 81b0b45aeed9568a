/**
 * Transcoder sources: Gemma Scope 2, one safetensors file a layer with lower-case keys. `w_enc` is [d_model, d_transcoder] and the
 * affine skip [d_model in, d_model out], applied as x · affine_skip_connection.
 */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { activationIn, type NamedActivation } from './named-activation.ts';
import { optional, ownLayer, required, type LayerSource, type LocatedMatrix } from './source.ts';

const THRESHOLD = 'threshold';
const LOWER_CASE = ['w_enc', 'w_dec'];

/** Lower-case keys tell it from the other layouts; one of them, so that whatever else is missing is named. */
export function isGemmaScope2(file: TensorFile): boolean {
  return LOWER_CASE.some((key) => file.tensors.has(key));
}

export function gemmaScope2(file: TensorFile, layer: number, named: NamedActivation | null): LayerSource {
  return { ...common(file, layer, named), W_dec: ownLayer(required(file, 'w_dec')) };
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
  return {
    ...common(file, layer, named),
    W_dec: {
      ...required(file, 'w_dec'),
      n_written_layers: n_layers - layer,
      n_slots: n_layers,
      firstSlot: layer,
    },
  };
}

function common(file: TensorFile, layer: number, named: NamedActivation | null): Omit<LayerSource, 'W_dec'> {
  const W_enc = required(file, 'w_enc');
  return {
    layer,
    d_transcoder: W_enc.info.shape[1] ?? 0,
    W_enc: { ...W_enc, transposed: true },
    b_enc: required(file, 'b_enc'),
    b_dec: required(file, 'b_dec'),
    activation: named
      ? activationIn(file, THRESHOLD, named)
      : { kind: 'jumprelu', threshold: required(file, THRESHOLD) },
    W_skip: affineSkip(file),
  };
}

function affineSkip(file: TensorFile): LocatedMatrix | null {
  const skip = optional(file, 'affine_skip_connection');
  return skip && { ...skip, transposed: true };
}
