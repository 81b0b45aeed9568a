/** Transcoder sources: circuit-tracer's cross-layer transcoder, `W_enc_<i>.safetensors` and `W_dec_<i>.safetensors` a layer. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { activationIn, type NamedActivation } from './named-activation.ts';
import { required, type LayerSource } from './source.ts';

export function encoderFile(layer: number): string {
  return `W_enc_${layer}.safetensors`;
}

export function decoderFile(layer: number): string {
  return `W_dec_${layer}.safetensors`;
}

/** `W_dec_<i>` is [d_transcoder, n_layers − i, d_model]; its slice j writes into layer i + j. */
export function crossLayer(
  encoder: TensorFile,
  decoder: TensorFile,
  layer: number,
  named: NamedActivation | null,
  n_layers: number,
): LayerSource {
  const W_enc = required(encoder, `W_enc_${layer}`);
  const n = n_layers - layer;
  return {
    layer,
    d_transcoder: W_enc.info.shape[0] ?? 0,
    W_enc: { ...W_enc, transposed: false },
    W_dec: { ...required(decoder, `W_dec_${layer}`), n_written_layers: n, n_slots: n, firstSlot: 0 },
    b_enc: required(encoder, `b_enc_${layer}`),
    b_dec: required(encoder, `b_dec_${layer}`),
    activation: activationIn(encoder, `threshold_${layer}`, named),
    W_skip: null,
  };
}
