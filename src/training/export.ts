/** Training, export: trained arrays as a checkpoint and a transcoder set that `tracer` opens. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../formats/atomic.ts';
import { narrowToBfloat16 } from '../formats/dtype.ts';
import { writeSafetensors, type TensorToWrite } from '../formats/safetensors-writer.ts';
import { WEIGHTS_FILE } from '../model/weights-file.ts';
import type { TransformerConfig } from '../model/config.ts';
import { FEATURE_INPUT, FEATURE_OUTPUT } from './capture.ts';
import type { Parameter } from './parameters.ts';
import type { TranscoderParameters } from './transcoder-parameters.ts';

/**
 * Writes the weights in bfloat16.
 * @param vocabulary the token that each trained row of the embedding belongs to; all other rows are 0
 * @param d_vocab tokens of the whole vocabulary
 */
export async function writeModel(
  folder: string,
  config: TransformerConfig,
  parameters: readonly Parameter[],
  vocabulary: Int32Array,
  d_vocab: number,
): Promise<void> {
  const { key: embedding } = config.family.naming.model['embed.W_E']!;
  const tensors = parameters.map(({ name, shape, values }): TensorToWrite => {
    if (name !== embedding) return bfloat16(name, shape, values);
    const { d_model } = config;
    const all = new Float32Array(d_vocab * d_model);
    for (const [row, token] of vocabulary.entries())
      all.set(values.subarray(row * d_model, (row + 1) * d_model), token * d_model);
    return bfloat16(name, [d_vocab, d_model], all);
  });
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, WEIGHTS_FILE), tensors, { format: 'pt' });
}

/** Writes one file a layer, matrices in bfloat16, and `config.yaml`. Biases and thresholds decide what is active: float32. */
export async function writeTranscoders(
  folder: string,
  layers: readonly TranscoderParameters[],
  modelName: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { layer, W_enc, b_enc, W_dec, b_dec, threshold } of layers) {
    await writeSafetensors(join(folder, `layer_${layer}.safetensors`), [
      bfloat16('W_enc', W_enc.shape, W_enc.values),
      bfloat16('W_dec', W_dec.shape, W_dec.values),
      { name: 'b_enc', dtype: 'F32', shape: b_enc.shape, data: b_enc.values },
      { name: 'b_dec', dtype: 'F32', shape: b_dec.shape, data: b_dec.values },
      { name: 'activation_function.threshold', dtype: 'F32', shape: threshold.shape, data: threshold.values },
    ]);
  }
  const settings = {
    model_name: modelName,
    model_kind: 'transcoder_set',
    feature_input_hook: FEATURE_INPUT,
    feature_output_hook: FEATURE_OUTPUT,
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}: ${value}\n`);
  await writeFileAtomic(join(folder, 'config.yaml'), lines.join(''));
}

function bfloat16(name: string, shape: readonly number[], values: Float32Array): TensorToWrite {
  return { name, dtype: 'BF16', shape, data: narrowToBfloat16(values) };
}
