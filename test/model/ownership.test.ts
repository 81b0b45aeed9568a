/** Tensors that edits return: the pass goes on with them, and they stay whose they were. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '../../src/backend/backend.ts';
import { UsageError } from '../../src/errors.ts';
import { ActivationCache } from '../../src/model/activation-cache.ts';
import { transformerConfig } from '../../src/model/families.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { composeEdits, hookNames, type Edit, type HookName } from '../../src/model/hooks.ts';
import { KeyValueCache } from '../../src/model/kv-cache.ts';
import { loadTransformer } from '../../src/model/load.ts';
import type { Transformer } from '../../src/model/transformer.ts';
import { openBackend, TEST_DEVICES, type TestDevice } from '../support/backends.ts';
import { folder } from '../support/golden.ts';
import { makeCheckpoint } from '../support/made-checkpoint.ts';
import { scratchFolder } from '../support/scratch.ts';

const TOKENS = [2, 17, 5, 30, 1];

/** Without caps, so that no operation stands between the last hook and the logits. */
const CONFIG = {
  hidden_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 4,
  intermediate_size: 16,
  vocab_size: 40,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  query_pre_attn_scalar: 4,
  sliding_window: 4,
  attn_logit_softcapping: null,
  final_logit_softcapping: null,
};

async function withModel(device: TestDevice, work: (model: Transformer) => Promise<void>): Promise<void> {
  const backend = await openBackend(device);
  using scratch = scratchFolder();
  makeCheckpoint(scratch.path, CONFIG, { dtype: 'F32', seed: 4 });
  using checkpoint = await openCheckpoint(folder(scratch.path));
  using model = await loadTransformer(backend, checkpoint);
  await work(model);
}

const NAMES = hookNames(
  transformerConfig({ model_type: 'gemma2', max_position_embeddings: 64, ...CONFIG }, 'config.json'),
);

async function numbers(tensor: Tensor): Promise<number[]> {
  return Array.from(await tensor.data());
}

/** Edits that return the same numbers in the ways that one can think of; `mine` is what the caller has to dispose. */
const WAYS: Readonly<Record<string, (cache: ActivationCache, mine: Tensor[]) => Edit>> = {
  'the value itself': () => (value) => value,
  'nothing': () => () => undefined, // prettier-ignore
  'the value itself, and keep it': (_cache, mine) => (value) => {
    mine.push(tf.keep(value));
    return value;
  },
  'a new tensor': () => (value) => tf.mul(value, 1),
  'a new tensor, and dispose the value': () => (value) => {
    const copy = tf.mul(value, 1);
    value.dispose();
    return copy;
  },
  'a new tensor, and keep it': (_cache, mine) => (value) => {
    const copy = tf.keep(tf.mul(value, 1));
    mine.push(copy);
    return copy;
  },
  "a cache's tensor": (cache) => (_value, name) => cache.get(name),
  "a cache's tensor, and dispose the value": (cache) => (value, name) => {
    value.dispose();
    return cache.get(name);
  },
  'the value, after a cache took it': (_cache, mine) => (value, name) => {
    const own = new ActivationCache();
    own.keep(name, value);
    mine.push(own.get(name));
    return value;
  },
};

describe.each(TEST_DEVICES)('on %s, an edit may return', (device) => {
  it.each(Object.keys(WAYS))('%s, at every hook', async (way) => {
    await withModel(device, async (model) => {
      using cache = new ActivationCache();
      {
        using plain = await model.forward(TOKENS, { capture: () => true });
        for (const [name, value] of plain.activations.entries()) cache.keep(name, value);
        cache.keep(NAMES[0]!, plain.activations.get(NAMES[0]!)); // a name that is kept again leaks nothing
      }
      using plain = await model.forward(TOKENS);
      const expected = await numbers(plain.logits);
      const before = tf.memory().numTensors;
      const lists: HookName[][] = [...NAMES.map((name) => [name]), NAMES];
      for (const names of lists) {
        const mine: Tensor[] = [];
        const edit = WAYS[way]!(cache, mine);
        const edits = new Map(names.map((name) => [name, edit]));
        using result = await model.forward(TOKENS, { edits, capture: (name) => names.includes(name) });
        expect(await numbers(result.logits)).toEqual(expected);
        for (const name of names)
          expect(await numbers(result.activations.get(name))).toEqual(await numbers(cache.get(name)));
        for (const tensor of mine) {
          expect(tensor.isDisposed).toBe(false);
          tensor.dispose();
        }
        result[Symbol.dispose]();
        expect(tf.memory().numTensors).toBe(before);
      }
    });
  });

  it('something to another edit at the same hook, which owns no more than its argument', async () => {
    await withModel(device, async (model) => {
      using plain = await model.forward(TOKENS, { capture: () => true });
      const cached: Edit = (_value, name) => plain.activations.get(name);
      const disposing: Edit = (value) => {
        const copy = tf.mul(value, 1);
        value.dispose();
        return copy;
      };
      const of = (edit: Edit) => new Map(NAMES.map((name) => [name, edit]));
      const before = tf.memory().numTensors;
      for (const edits of [
        composeEdits(of(cached), of(disposing)),
        composeEdits(of(disposing), of(cached)),
      ]) {
        using result = await model.forward(TOKENS, { edits });
        expect(await numbers(result.logits)).toEqual(await numbers(plain.logits));
        result[Symbol.dispose]();
        expect(tf.memory().numTensors).toBe(before);
      }
    });
  });

  it("a cache's tensor where keys and values are kept for later tokens", async () => {
    await withModel(device, async (model) => {
      using plain = await model.forward(TOKENS, { capture: () => true });
      const edits = new Map(NAMES.map((name) => [name, (): Tensor => plain.activations.get(name)]));
      const before = tf.memory().numTensors;
      {
        using kept = new KeyValueCache();
        using _first = await model.forward(TOKENS, { edits, cache: kept });
        using next = await model.forward([7], { cache: kept });
        using whole = await model.forward([...TOKENS, 7], { logits: 'last' });
        const [found, expected] = [await numbers(next.logits), await numbers(whole.logits)];
        for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 4);
      }
      expect(tf.memory().numTensors).toBe(before);
      expect(await numbers(plain.activations.get('blocks.0.attn.hook_v'))).toHaveLength(TOKENS.length * 4);
    });
  });

  it('no tensor of another shape, which is refused by the name of the hook', async () => {
    await withModel(device, async (model) => {
      using longer = await model.forward([...TOKENS, 8], { capture: () => true });
      const before = tf.memory().numTensors;
      for (const name of ['blocks.1.hook_resid_post', 'unembed.hook_post', 'hook_embed'] as const) {
        const edits = new Map([[name, (): Tensor => longer.activations.get(name)]]);
        const refused = model.forward(TOKENS, { edits });
        await expect(refused).rejects.toThrow(UsageError);
        await expect(refused).rejects.toMatchObject({ code: 'hook_shape', message: expect.stringContaining(name) as unknown }); // prettier-ignore
      }
      expect(tf.memory().numTensors).toBe(before);
    });
  });
});
