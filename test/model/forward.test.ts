import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { hookNames } from '../../src/model/hooks.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { openBackend, GOLDEN_DEVICES } from '../support/backends.ts';
import { FIXTURES, folder, goldenPath, PROMPTS, prompts, tolerances } from '../support/golden.ts';
import { expectTensor, readTensors } from '../support/tensors.ts';

describe.each(FIXTURES)('the transformer of %s', (fixture) => {
  it.each(GOLDEN_DEVICES)('computes every hook and the logits of the reference on %s', async (device) => {
    const backend = await openBackend(device);
    const expected = await readTensors(goldenPath(fixture, 'expected', 'activations.safetensors'));
    const tolerance = tolerances(fixture).logits_and_hooks;
    using checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
    const before = tf.memory().numTensors;
    {
      using model = await loadTransformer(backend, checkpoint);
      let compared = 0;
      for (const name of PROMPTS) {
        using result = await model.forward(prompts(fixture)[name].token_ids, { capture: () => true });
        await expectTensor(`${name}/logits`, result.logits, expected.get(`${name}/logits`)!, tolerance);
        for (const hook of hookNames(model.config)) {
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
