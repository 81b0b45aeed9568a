/** Transcoder sources: a cross-layer transcoder, `W_enc_<i>.safetensors` and `W_dec_<i>.safetensors` a layer. */
import type { TensorFile } from '../../formats/tensor-file.ts';
import { optional, required, type LayerSource } from './source.ts';

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
  n_layers: number,
  hasThresholds: boolean,
): LayerSource {
  const W_enc = required(encoder, `W_enc_${layer}`);
  return {
    layer,
    d_transcoder: W_enc.info.shape[0] ?? 0,
    W_enc: { ...W_enc, transposed: false },
    W_dec: required(decoder, `W_dec_${layer}`),
    n_written_layers: n_layers - layer,
    b_enc: required(encoder, `b_enc_${layer}`),
    b_dec: required(encoder, `b_dec_${layer}`),
    threshold: hasThresholds ? optional(encoder, `threshold_${layer}`) : null,
    W_skip: null,
  };
}
