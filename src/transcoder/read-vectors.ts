/** Transcoder: the small per-feature numbers of a layer, read whole. */
import { firstNonFinite, widen } from '../formats/dtype.ts';
import { notFinite } from '../model/not-finite.ts';
import type { Activation } from './activation.ts';
import type { SetConfig } from './set-config.ts';
import type { LayerSource, Located } from './sources/source.ts';

/** The activation of a layer, with its thresholds: named by the set, else JumpReLU where there is a threshold, else ReLU. */
export async function readActivation(source: LayerSource, config: SetConfig): Promise<Activation> {
  if (config.activation && config.activation.kind !== 'jumprelu') return config.activation;
  if (!source.threshold) return { kind: 'relu' };
  const values = await readVector(source.threshold);
  const threshold = values.length === 1 ? new Float32Array(source.d_transcoder).fill(values[0]!) : values;
  return { kind: 'jumprelu', threshold };
}

/** A vector as float32. Throws `BadFileError` for numbers that are not finite. */
export async function readVector({ file, info }: Located): Promise<Float32Array> {
  const values = widen(await file.read(info.name), info.dtype);
  if (firstNonFinite(values) >= 0) throw notFinite(file.name, info.name);
  return values;
}
