/** Transcoder activations: the activation of a layer, with its thresholds read from the file. */
import { firstNonFinite, widen } from '../../formats/dtype.ts';
import { notFinite } from '../../model/not-finite.ts';
import type { ActivationSource, LayerSource, Located } from '../sources/source.ts';
import type { Activation, ActivationKind } from './activation.ts';
import { groupMax, positiveTopK, topK } from './choice.ts';
import { batchTopK, jumpRelu, positiveJumpRelu, relu } from './threshold.ts';

/** Throws `BadFileError` for thresholds that are not finite. */
export async function readActivation({ activation, d_transcoder }: LayerSource): Promise<Activation> {
  switch (activation.kind) {
    case 'relu':
      return relu();
    case 'jumprelu':
      return jumpRelu(await readThreshold(activation.threshold, d_transcoder));
    case 'positive-jumprelu':
      return positiveJumpRelu(await readThreshold(activation.threshold, d_transcoder));
    case 'batchtopk':
      return batchTopK(await readThreshold(activation.threshold, d_transcoder));
    case 'topk':
      return topK(activation.k);
    case 'positive-topk':
      return positiveTopK(activation.k);
    case 'groupmax':
      return groupMax(activation.k);
  }
}

/** The kind that `readActivation` gives, without reading. */
export function kindOf({ kind }: ActivationSource): ActivationKind {
  return kind === 'positive-jumprelu' ? 'jumprelu' : kind === 'positive-topk' ? 'topk' : kind;
}

async function readThreshold(located: Located, d_transcoder: number): Promise<Float32Array> {
  const values = await readVector(located);
  return values.length === 1 ? new Float32Array(d_transcoder).fill(values[0]!) : values;
}

/** A vector as float32. Throws `BadFileError` for numbers that are not finite. */
export async function readVector({ file, info }: Located): Promise<Float32Array> {
  const values = widen(await file.read(info.name), info.dtype);
  if (firstNonFinite(values) >= 0) throw notFinite(file.name, info.name);
  return values;
}
