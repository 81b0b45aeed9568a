/** Every hook of the forward pass of each family, against TransformerLens (golden data, `families/`). */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { hookNames, hookShape, type OutputSite } from '../../src/model/hooks.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { numberOf } from '../../src/model/parameters.ts';
import { describeSet } from '../../src/transcoder/recognise.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import {
  FAMILIES,
  HOOKED_FAMILIES,
  FAMILY_FIXTURES,
  folder,
  setFolder,
  goldenPath,
  prompts,
  readGoldenJson,
  tolerances,
} from '../support/golden.ts';
import { expectTensor, readTensors } from '../support/tensors.ts';

const PROMPTS = ['p1', 'p2', 'p3'] as const;

async function outputOf(fixture: (typeof FAMILIES)[number]): Promise<OutputSite> {
  const [set] = FAMILY_FIXTURES[fixture];
  return (await describeSet(setFolder(goldenPath(fixture, 'transcoders', set)))).feature_output_hook;
}

describe.each(TEST_DEVICES)('families on %s', (device) => {
  it.each(FAMILIES)('%s: logits and every hook are those of the reference', async (fixture) => {
    const backend = await openBackend(device);
    const expected = await readTensors(goldenPath(fixture, 'expected', 'activations.safetensors'));
    const tolerance = tolerances(fixture).logits_and_hooks;
    const output = await outputOf(fixture);
    using checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
    const before = tf.memory().numTensors;
    {
      using model = await loadTransformer(backend, checkpoint);
      let compared = 0;
      for (const name of PROMPTS) {
        using result = await model.forward(prompts(fixture)[name].token_ids, { output, capture: () => true });
        await expectTensor(`${name}/logits`, result.logits, expected.get(`${name}/logits`)!, tolerance);
        for (const hook of hookNames(model.config, output)) {
          const golden = expected.get(`${name}/${hook}`) ?? expected.get(`replacement/${name}/${hook}`);
          if (!golden) continue;
          await expectTensor(`${name}/${hook}`, result.activations.get(hook), golden, tolerance);
          compared++;
        }
      }
      expect(compared).toBe([...expected.keys()].filter((key) => !key.endsWith('/logits')).length);
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe.each(HOOKED_FAMILIES())('the hooks of %s', (fixture) => {
  it('are those of the reference, with its shapes', async () => {
    const golden = readGoldenJson<Record<string, number[]>>(fixture, 'expected', 'replacement-hooks.json');
    const names = Object.keys(golden).map((name) => name.replace('.old_mlp.', '.'));
    using checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
    const found = hookNames(checkpoint.config, await outputOf(fixture));
    expect(new Set(found)).toEqual(new Set(names));
    for (const name of found) {
      const shape = golden[name] ?? golden[name.replace('.mlp.', '.mlp.old_mlp.')]!;
      expect(hookShape(name, checkpoint.config.block).split(',')).toHaveLength(shape.length);
    }
  });
});

describe.each(FAMILIES)('the parameters of %s', (fixture) => {
  it('are counted once each, also where several lie in one tensor', async () => {
    using checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
    const { weights, file } = checkpoint;
    const tensors = [...new Set(weights.map(({ key }) => key))].map((key) => file.tensors.get(key)!);
    const numbers = weights.reduce((sum, { shape }) => sum + numberOf(shape), 0);
    expect(numbers).toBe(tensors.reduce((sum, { shape }) => sum + numberOf(shape), 0));
    const bytes = weights.reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(bytes).toBe(tensors.reduce((sum, { byteLength }) => sum + byteLength, 0));
  });
});
