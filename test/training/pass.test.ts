import { beforeAll, describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { matricesOf } from '../../src/model/block-spec.ts';
import { batchOf } from '../../src/training/batch.ts';
import { capturingPass } from '../../src/training/capture.ts';
import { modelOfVariables, modelParameters } from '../../src/training/model-parameters.ts';
import { Variables } from '../../src/training/parameters.ts';
import { NO_HOOKS, predictionLoss, residualOf } from '../../src/training/pass.ts';
import { Random } from '../../src/random.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { FIXTURES, folder, goldenPath, prompts, tolerances } from '../support/golden.ts';
import { expectTensor, readTensors } from '../support/tensors.ts';
import { counting, SMALL } from './small.ts';

describe.each(FIXTURES)('a batch of prompts of different length through %s', (fixture) => {
  it.each(TEST_DEVICES)('gives each prompt the values of the reference on %s', async (device) => {
    const backend = await openBackend(device);
    const expected = await readTensors(goldenPath(fixture, 'expected', 'activations.safetensors'));
    const tolerance = tolerances(fixture).logits_and_hooks;
    using checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
    using model = await loadTransformer(backend, checkpoint);
    const names = ['p1', 'p2', 'p3'] as const;
    const rows = names.map((name) => prompts(fixture)[name].token_ids);
    const held = await Promise.all(
      model.weights.blocks.map(async (stored) => {
        const acquired = await Promise.all(
          matricesOf(model.config.block).map(
            async (name) => [name, await stored.matrices[name]!.acquire()] as const,
          ),
        );
        return { ...stored, matrices: Object.fromEntries(acquired) };
      }),
    );
    const W_E = await model.weights.W_E.rows(Int32Array.from({ length: model.config.d_vocab }, (_, i) => i));
    const batch = batchOf(rows);
    const { residual, outputs } = capturingPass(
      { config: model.config, W_E, blocks: held, ln_final: model.weights.ln_final },
      batch,
    );
    const last = model.config.n_layers - 1;
    let compared = 0;
    for (const [r, name] of names.entries()) {
      const part = (values: tf.Tensor2D): tf.Tensor2D =>
        tf.slice(values, [r * batch.length, 0], [rows[r]!.length, model.config.d_model]);
      for (const [hook, values] of [
        [`blocks.${last}.hook_resid_post`, residual],
        [`blocks.${last}.hook_mlp_out`, outputs[last]!],
      ] as const) {
        const golden = expected.get(`${name}/${hook}`) ?? expected.get(`replacement/${name}/${hook}`);
        if (!golden) continue;
        await expectTensor(`${name}/${hook}`, part(values), golden, tolerance);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(0);
  });
});

describe('the gradient of the loss', () => {
  beforeAll(() => openBackend(TEST_DEVICES[0]!));

  it('is what small changes of the parameters do to it', async () => {
    const parameters = modelParameters(SMALL, new Random(3), {});
    using variables = new Variables(parameters);
    const batch = batchOf(counting(4).batch(5));
    const wanted = { places: batch.places, targets: batch.targets, n_silent: 7 };
    const loss = (): tf.Scalar => {
      const model = modelOfVariables(SMALL, variables);
      return predictionLoss(model, residualOf(model, batch, NO_HOOKS), wanted);
    };
    const { gradients } = await variables.gradients(loss);
    expect(gradients.size).toBe(parameters.length);
    const step = 1e-2;
    for (const { name, values } of parameters) {
      const gradient = gradients.get(name)!;
      // Along the gradient itself the change is largest, and float32 noise matters least.
      const length = Math.hypot(...gradient);
      const start = values.slice();
      const at = async (sign: number): Promise<number> => {
        values.set(start.map((value, i) => value + (sign * step * gradient[i]!) / length));
        variables.refill();
        return (await variables.gradients(loss)).value;
      };
      const slope = ((await at(1)) - (await at(-1))) / (2 * step);
      values.set(start);
      expect({ name, ratio: slope / length }).toEqual({ name, ratio: expect.closeTo(1, 1) });
    }
  });
});
