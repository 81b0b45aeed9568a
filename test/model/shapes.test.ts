/** Checkpoints of other shapes than the golden ones, against a plain float64 pass. */

import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import type { Backend } from '../../src/backend/backend.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { referencePass, type ReferenceConfig, type ReferenceValues } from '../support/gemma2-reference.ts';
import {
  FIXTURES,
  folder,
  goldenPath,
  prompts,
  readGoldenJson,
  tolerances,
  type Fixture,
} from '../support/golden.ts';
import { makeCheckpoint, type StoredAs } from '../support/made-checkpoint.ts';
import { scratchFolder } from '../support/scratch.ts';
import { expectValues, readTensors } from '../support/tensors.ts';

/** Noise of float32 on values of the golden checkpoints' sizes; the shapes here are made to have the same. */
const TOLERANCE = tolerances('tiny-a').logits_and_hooks;
const TOKENS = [2, 17, 5, 5, 30, 1, 39, 8, 22, 11];

const BASE: ReferenceConfig = {
  hidden_size: 24,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  intermediate_size: 40,
  vocab_size: 40,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  query_pre_attn_scalar: 8,
  sliding_window: 4,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
};

/** Compares every value of the reference with a pass of the checkpoint in a folder. */
async function expectPass(
  root: string,
  backend: Backend,
  tokens: readonly number[],
  expected: ReferenceValues,
): Promise<void> {
  using checkpoint = await openCheckpoint(folder(root));
  using model = await loadTransformer(backend, checkpoint);
  using result = await model.forward(tokens, { capture: (name) => expected.has(name) });
  for (const [name, values] of expected) {
    const found = name === 'logits' ? result.logits : result.activations.get(name as 'hook_embed');
    expectValues(name, await found.data(), values, TOLERANCE);
  }
}

/** All weights of a golden checkpoint, whatever its files. */
async function goldenWeights(fixture: Fixture): Promise<Map<string, Float32Array>> {
  const files = fixture === 'tiny-a' ? ['model'] : [1, 2, 3].map((n) => `model-0000${n}-of-00003`);
  const tensors = await Promise.all(
    files.map((file) => readTensors(goldenPath(fixture, 'model', `${file}.safetensors`))),
  );
  return new Map(tensors.flatMap((each) => [...each].map(([key, { values }]) => [key, values] as const)));
}

describe('the plain float64 pass', () => {
  it.each(FIXTURES)('agrees with every golden value that it has of %s', async (fixture) => {
    const config = readGoldenJson<ReferenceConfig>(fixture, 'model', 'config.json');
    const weights = await goldenWeights(fixture);
    const golden = await readTensors(goldenPath(fixture, 'expected', 'activations.safetensors'));
    for (const name of ['p1', 'p3'] as const) {
      const values = referencePass(config, weights, prompts(fixture)[name].token_ids);
      expect(values.size).toBe(2 + 4 * config.num_hidden_layers);
      for (const [hook, found] of values) {
        const { values: expected } = golden.get(`${name}/${hook}`)!;
        expectValues(`${name}/${hook}`, found, expected, tolerances(fixture).logits_and_hooks);
      }
    }
  });
});

interface Shape {
  readonly title: string;
  readonly change: Partial<ReferenceConfig> & Readonly<Record<string, unknown>>;
  readonly dtype?: StoredAs;
  readonly tokens?: readonly number[];
}

const all = (type: string, n = 3): string[] => Array.from({ length: n }, () => type);

const SHAPES: readonly Shape[] = [
  { title: 'one layer', change: { num_hidden_layers: 1 } },
  { title: 'seven layers', change: { num_hidden_layers: 7 } },
  { title: 'one token', change: {}, tokens: [2] },
  { title: 'a key/value head for every head', change: { num_key_value_heads: 4 } },
  { title: 'groups of four heads', change: { num_attention_heads: 8, num_key_value_heads: 2 } },
  { title: 'one key/value head', change: { num_attention_heads: 5, num_key_value_heads: 1 } },
  { title: 'heads of two numbers', change: { head_dim: 2 } },
  { title: 'heads wider together than the model', change: { head_dim: 32 } },
  { title: 'a width of no round number', change: { hidden_size: 23, intermediate_size: 37, vocab_size: 41 } },
  ...Array.from({ length: TOKENS.length + 1 }, (_, i): Shape => {
    return { title: `a window of ${i + 1}`, change: { sliding_window: i + 1 } };
  }),
  { title: 'no soft caps', change: { attn_logit_softcapping: null, final_logit_softcapping: null } },
  { title: 'narrow soft caps', change: { attn_logit_softcapping: 0.5, final_logit_softcapping: 2 } },
  { title: 'global layers only', change: { layer_types: all('full_attention') } },
  { title: 'local layers only', change: { layer_types: all('sliding_attention') } },
  {
    title: 'a global layer first',
    change: { layer_types: ['full_attention', 'sliding_attention', 'full_attention'], sliding_window: 2 },
  },
  { title: 'another base of the rotation', change: { rope_theta: 1_000_000 } },
  { title: 'the base of the rotation in its new place', change: { rope_theta: 500, rope_parameters: { rope_theta: 500, rope_type: 'default' } } }, // prettier-ignore
  { title: 'a larger epsilon', change: { rms_norm_eps: 0.01 } },
  { title: 'an output matrix of its own', change: { tie_word_embeddings: false } },
  { title: 'bfloat16 on disk', change: {}, dtype: 'BF16' },
  { title: 'float16 on disk', change: {}, dtype: 'F16' },
  { title: 'float16 on disk, an output matrix of its own, groups of four', change: { tie_word_embeddings: false, num_key_value_heads: 1 }, dtype: 'F16' }, // prettier-ignore
];

describe.each(TEST_DEVICES)('on %s, a checkpoint', (device) => {
  let backend: Backend;

  beforeAll(async () => {
    backend = await openBackend(device);
  });

  it.each(SHAPES)('with $title is computed as the formulas say', async (shape) => {
    using scratch = scratchFolder();
    const config = { ...BASE, ...shape.change };
    const { weights } = makeCheckpoint(scratch.path, config, { dtype: shape.dtype ?? 'F32', seed: 7 });
    const tokens = shape.tokens ?? TOKENS;
    await expectPass(scratch.path, backend, tokens, referencePass(config, weights, tokens));
  });

  it('without the keys that Hugging Face has defaults for gets those', async () => {
    using scratch = scratchFolder();
    const { weights } = makeCheckpoint(scratch.path, BASE, { dtype: 'F32', seed: 7 });
    const { attn_logit_softcapping, final_logit_softcapping, sliding_window, rms_norm_eps, rope_theta, ...config } = BASE; // prettier-ignore
    expect({ attn_logit_softcapping, final_logit_softcapping, rms_norm_eps, rope_theta }).toEqual({
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      rms_norm_eps: 1e-6,
      rope_theta: 10_000,
    });
    makeCheckpoint(scratch.path, config as ReferenceConfig, { dtype: 'F32', seed: 7 });
    // The default window is longer than any prompt here.
    const expected = referencePass({ ...BASE, sliding_window: sliding_window * 1024 }, weights, TOKENS);
    await expectPass(scratch.path, backend, TOKENS, expected);
  });

  it('of any shape is computed as the formulas say', async () => {
    const layerTypes = fc.constantFrom('sliding_attention', 'full_attention');
    const cases = fc.record({
      heads: fc.constantFrom([1, 1], [2, 1], [4, 1], [4, 4], [6, 3], [8, 2]),
      halfHead: fc.integer({ min: 1, max: 9 }),
      d: fc.integer({ min: 2, max: 33 }),
      d_mlp: fc.integer({ min: 1, max: 50 }),
      layer_types: fc.array(layerTypes, { minLength: 1, maxLength: 4 }),
      window: fc.integer({ min: 1, max: 12 }),
      caps: fc.constantFrom([50, 30], [null, null], [null, 30], [3, null]),
      tied: fc.boolean(),
      dtype: fc.constantFrom<StoredAs>('F32', 'F16', 'BF16'),
      tokens: fc.array(fc.integer({ min: 0, max: 39 }), { minLength: 1, maxLength: 14 }),
      seed: fc.integer({ min: 1, max: 1_000 }),
    });
    await fc.assert(
      fc.asyncProperty(
        cases,
        async ({ heads, halfHead, layer_types, caps, tokens, dtype, seed, ...rest }) => {
          using scratch = scratchFolder();
          const config: ReferenceConfig = {
            ...BASE,
            hidden_size: rest.d,
            intermediate_size: rest.d_mlp,
            num_attention_heads: heads[0],
            num_key_value_heads: heads[1],
            head_dim: 2 * halfHead,
            num_hidden_layers: layer_types.length,
            layer_types,
            sliding_window: rest.window,
            attn_logit_softcapping: caps[0]!,
            final_logit_softcapping: caps[1]!,
            tie_word_embeddings: rest.tied,
          };
          const { weights } = makeCheckpoint(scratch.path, config, { dtype, seed });
          await expectPass(scratch.path, backend, tokens, referencePass(config, weights, tokens));
        },
      ),
      { numRuns: 25, seed: 20240801 },
    );
  });

  it('that was converted to float16 is as far from the original as the rounding of its weights moves it', async () => {
    using scratch = scratchFolder();
    const config = readGoldenJson<ReferenceConfig>('tiny-a', 'model', 'config.json');
    const original = await goldenWeights('tiny-a');
    const values = new Map([...original].map(([key, numbers]) => [key, Array.from(numbers)]));
    const { weights } = makeCheckpoint(scratch.path, config, { dtype: 'F16', seed: 1, values });
    const tokens = prompts('tiny-a').p3.token_ids;
    const converted = referencePass(config, weights, tokens);
    await expectPass(scratch.path, backend, tokens, converted);
    // The bound is not a guess: both passes in float64 differ by the rounding alone.
    const before = referencePass(config, original, tokens).get('logits')!;
    const moved = converted
      .get('logits')!
      .reduce((most, value, i) => Math.max(most, Math.abs(value - before[i]!)), 0);
    expect(moved).toBeGreaterThan(TOLERANCE);
    expect(moved).toBeLessThan(1);
  });
});
