/** What sets of other libraries are made of, against those libraries (golden data, `layouts/`). */
import { describe, expect, it } from '@jest/globals';
import type { Tensor2D } from '../../src/backend/backend.ts';
import type { ReplacementModel } from '../../src/replacement/replacement-model.ts';
import { prepare } from '../attribution/prepare.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { goldenPath, LAYOUT_FIXTURES, prompts, tolerances } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectValues, readTensors } from '../support/tensors.ts';

/** b_dec + features + skip of a layer at all positions, [pos · d_model]. */
async function reconstruction(
  { transcoders }: ReplacementModel,
  layer: number,
  input: Tensor2D,
): Promise<Float64Array> {
  const [n_pos, d_model] = input.shape;
  const sum = new Float64Array(n_pos * d_model);
  const { positions, features, values } = await transcoders.encode(layer, input);
  const rows = await transcoders.decoderRows(layer, features);
  values.forEach((value, i) => {
    for (let j = 0; j < d_model; j++) sum[positions[i]! * d_model + j]! += value * rows[i * d_model + j]!;
  });
  const bias = (await transcoders.decoderBias(layer))!;
  const skip = await transcoders.skip(layer, input);
  const skipped = await skip?.data<'float32'>();
  skip?.dispose();
  return sum.map((value, i) => value + bias[i % d_model]! + (skipped?.[i] ?? 0));
}

describe.each(TEST_DEVICES)('on %s', (device) => {
  it.each(LAYOUT_FIXTURES)('%s: inputs, outputs, features, reconstruction and errors', async (fixture) => {
    const golden = await readTensors(goldenPath(fixture, 'expected', 'transcoder-set.safetensors'));
    const tolerance = tolerances(fixture).transcoder;
    using loaded = await loadFixture(device, fixture, 'set');
    const { replacement } = loaded;
    const { transcoders } = replacement;
    using prepared = await prepare(replacement, prompts(fixture).p2.token_ids);
    const { activations } = prepared.pass;
    const errors = await prepared.errorVectors();
    const compare = (name: string, layer: number, found: ArrayLike<number>): void => {
      const { values } = golden.get(`p2/${name}`)!;
      const expected = values.subarray(layer * found.length, (layer + 1) * found.length);
      expectValues(`${name} of layer ${layer}`, found, expected, tolerance);
    };
    expect(golden.has('p2/skip')).toBe(transcoders.layers.every(({ W_skip }) => W_skip));
    for (const { layer } of transcoders.layers) {
      const input = activations.get<Tensor2D>(replacement.inputHook(layer));
      compare('mlp_in', layer, await input.data());
      const output = await activations.get(replacement.outputHook(layer)).data<'float32'>();
      compare('mlp_out', layer, output);
      const preTensor = await transcoders.preActivations(layer, input);
      compare('pre_activations', layer, await preTensor.data());
      preTensor.dispose();
      compare('error_vectors', layer, errors.subarray(layer * output.length, (layer + 1) * output.length));
      const skip = await transcoders.skip(layer, input);
      if (skip) compare('skip', layer, await skip.data());
      skip?.dispose();
      compare('reconstruction_by_library', layer, await reconstruction(replacement, layer, input));
    }
  });
});
