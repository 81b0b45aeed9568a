import '../support/gradients.ts';
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../../src/backend/backend.ts';
import { transformerConfig } from '../../src/model/families.ts';
import { batchOf } from '../../src/training/batch.ts';
import { cappedCrossEntropy, crossEntropy } from '../../src/training/cross-entropy.ts';
import { modelOfVariables, modelParameters } from '../../src/training/model-parameters.ts';
import { Variables } from '../../src/training/parameters.ts';
import { NO_HOOKS, predictionLoss, residualOf } from '../../src/training/pass.ts';
import { Random } from '../../src/random.ts';
import { describeEachBackend } from '../support/backends.ts';
import { referencePass, type ReferenceConfig } from '../support/gemma2-reference.ts';

/** Mean of −log softmax(logits)[target] and its gradient, in double precision. */
function plainLoss(rows: readonly (readonly number[])[], targets: readonly number[], n_silent: number) {
  let loss = 0;
  const gradient = rows.map((row, r) => {
    const largest = Math.max(...row, ...(n_silent > 0 ? [0] : []));
    const powers = row.map((logit) => Math.exp(logit - largest));
    const sum = powers.reduce((a, b) => a + b, 0) + n_silent * Math.exp(-largest);
    loss += (Math.log(sum) + largest - row[targets[r]!]!) / rows.length;
    return powers.map((power, i) => (power / sum - (i === targets[r] ? 1 : 0)) / rows.length);
  });
  return { loss, gradient };
}

/** Logits of ordinary size, and such as only a model without a cap has: 60 · tanh(z / 60) is far from z there. */
const ROWS = [
  [1.5, -2, 0.25],
  [80, 79, 3],
  [250, -40, 249.5],
  [-120, -121, -130],
];
const TARGETS = [2, 1, 0, 1];

describeEachBackend('the loss on the next token', () => {
  it.each([0, 5])(
    'without a cap is that of the logits as they are, with %d silent tokens',
    async (n_silent) => {
      const { loss, gradient } = plainLoss(ROWS, TARGETS, n_silent);
      const z = tf.tensor2d(ROWS.flat(), [ROWS.length, 3]);
      const { value, grad } = tf.valueAndGrad((x) =>
        crossEntropy(x as Tensor2D, Int32Array.from(TARGETS), n_silent),
      )(z);
      expect((await value.data())[0]).toBeCloseTo(loss, 4);
      const found = await grad.data();
      for (const [i, wanted] of gradient.flat().entries()) expect(found[i]).toBeCloseTo(wanted, 5);
      tf.dispose([z, value, grad]);
    },
  );

  it('with a cap is that of the capped logits', async () => {
    const cap = 30;
    const capped = ROWS.map((row) => row.map((logit) => cap * Math.tanh(logit / cap)));
    const { loss, gradient } = plainLoss(capped, TARGETS, 5);
    const z = tf.tensor2d(ROWS.flat().map((logit) => logit / cap), [ROWS.length, 3]); // prettier-ignore
    const { value, grad } = tf.valueAndGrad((x) =>
      cappedCrossEntropy(x as Tensor2D, Int32Array.from(TARGETS), cap, 5),
    )(z);
    expect((await value.data())[0]).toBeCloseTo(loss, 4);
    const found = await grad.data();
    for (const [i, wanted] of gradient.flat().entries()) {
      const slope = 1 - Math.tanh(ROWS.flat()[i]! / cap) ** 2;
      expect(found[i]).toBeCloseTo(wanted * slope * cap, 4);
    }
    tf.dispose([z, value, grad]);
  });
});

const CONFIG = {
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  intermediate_size: 24,
  vocab_size: 12,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  query_pre_attn_scalar: 4,
  sliding_window: 3,
  attn_logit_softcapping: 5,
  final_logit_softcapping: 30,
};
/** Embeddings so large that logits reach hundreds. */
const EMBEDDING_FACTOR = 40;

describeEachBackend("training's pass", () => {
  it.each([
    { title: 'both caps', change: {} },
    { title: 'no cap on the logits', change: { final_logit_softcapping: null } },
    { title: 'no cap on attention scores', change: { attn_logit_softcapping: null } },
    { title: 'no cap', change: { final_logit_softcapping: null, attn_logit_softcapping: null } },
    { title: 'no window', change: { sliding_window: null } },
    {
      title: 'neither caps nor window',
      change: { final_logit_softcapping: null, attn_logit_softcapping: null, sliding_window: null },
    },
  ])('of a model with $title has the loss that the formulas give', async ({ change }) => {
    const file = { ...CONFIG, ...change, model_type: 'gemma2', max_position_embeddings: 16 };
    const config = transformerConfig(file, 'config.json');
    const parameters = modelParameters(config, new Random(3), {});
    for (const { name, values } of parameters)
      if (name === config.family.naming.model['embed.W_E']!.key)
        values.forEach((value, i) => (values[i] = value * EMBEDDING_FACTOR));
    using variables = new Variables(parameters);
    const tokens = [0, 3, 5, 7, 1, 9, 4, 4];
    const batch = batchOf([tokens]);
    const loss = tf.tidy(() => {
      const model = modelOfVariables(config, variables);
      const { places, targets } = batch;
      return predictionLoss(model, residualOf(model, batch, NO_HOOKS), { places, targets, n_silent: 0 });
    });
    const weights = new Map(parameters.map(({ name, values }) => [name, values]));
    const reference = { ...file, sliding_window: file.sliding_window ?? Infinity } as ReferenceConfig;
    const logits = referencePass(reference, weights, tokens).get('logits')!;
    const rows = tokens.map((_, i) => Array.from(logits.subarray(i * 12, (i + 1) * 12))).slice(0, -1);
    if (file.final_logit_softcapping === null) expect(Math.max(...logits)).toBeGreaterThan(60);
    expect((await loss.data())[0]).toBeCloseTo(plainLoss(rows, tokens.slice(1), 0).loss, 2);
    loss.dispose();
  });
});

describe('a window', () => {
  const windowOf = (sliding_window: number | null | undefined) =>
    transformerConfig(
      { ...CONFIG, sliding_window, model_type: 'gemma2', max_position_embeddings: 16 },
      'config.json',
    ).window_size;

  it('that config.json gives as null is none, one that it leaves out is the default of the family', () => {
    expect(windowOf(null)).toBeNull();
    expect(windowOf(undefined)).toBe(4096);
    expect(windowOf(3)).toBe(3);
  });
});
