import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Weight } from '../../src/backend/backend.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import type { HookName } from '../../src/model/hooks.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { BEFORE_UNEMBEDDING, lastLogits, logitBlocks } from '../../src/model/logit-blocks.ts';
import type { ForwardOptions, Transformer } from '../../src/model/transformer.ts';
import { openBackend, TEST_DEVICES, type TestDevice } from '../support/backends.ts';
import { FIXTURES, folder, goldenPath, prompts, tolerances, type Fixture } from '../support/golden.ts';
import { expectValues } from '../support/tensors.ts';

async function withModel(
  device: TestDevice,
  fixture: Fixture,
  work: (model: Transformer, tokens: readonly number[]) => Promise<void>,
): Promise<void> {
  const backend = await openBackend(device);
  using checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
  using model = await loadTransformer(backend, checkpoint);
  await work(model, prompts(fixture).p3.token_ids);
}

async function numbers(tensor: tf.Tensor): Promise<Float32Array> {
  return await tensor.data<'float32'>();
}

/** Layers that a pass goes through, and how often it fetches the unembedding. */
async function extentOf(model: Transformer, tokens: readonly number[], options: ForwardOptions) {
  let nUnembeddings = 0;
  const watched = {
    ...model.weights,
    W_U: {
      acquire: () => {
        nUnembeddings++;
        return model.weights.W_U.acquire();
      },
    } as Weight,
  };
  const layers: number[] = [];
  const twin = Object.assign(Object.create(Object.getPrototypeOf(model) as object) as Transformer, model, {
    weights: watched,
  });
  using _pass = await twin.forward(tokens, {
    ...options,
    afterLayer: (layer) => Promise.resolve(void layers.push(layer)),
  });
  return { layers, nUnembeddings };
}

describe.each(TEST_DEVICES)('logits on %s', (device) => {
  it.each(FIXTURES)(
    'are the same in blocks as all at once, before and after the cap (%s)',
    async (fixture) => {
      await withModel(device, fixture, async (model, tokens) => {
        const { logits_and_hooks: tolerance } = tolerances(fixture);
        using whole = await model.forward(tokens, { capture: (name) => name.startsWith('unembed') });
        using pass = await model.forward(tokens, {
          logits: 'none',
          capture: (name) => name === BEFORE_UNEMBEDDING,
        });
        expect(pass.logits.shape).toEqual([0, model.config.d_vocab]);
        const rows = pass.activations.get<Tensor2D>(BEFORE_UNEMBEDDING);
        expect(await numbers(rows)).toEqual(await numbers(whole.activations.get(BEFORE_UNEMBEDDING)));
        const before = tf.memory().numTensors;
        for (const [site, expected] of [
          ['logits', whole.logits],
          ['unembed.hook_post', whole.activations.get('unembed.hook_post')],
        ] as const) {
          for (const atOnce of [1, 7, tokens.length, 1000]) {
            const found: number[] = [];
            const sizes: number[] = [];
            const blockBytes = 4 * model.config.d_vocab * atOnce;
            for await (const [block, twin] of logitBlocks(model, [rows, rows], site, { blockBytes })) {
              sizes.push(block!.shape[0]);
              expect(await numbers(twin!)).toEqual(await numbers(block!));
              for (const value of await numbers(block!)) found.push(value);
            }
            expect(Math.max(...sizes)).toBe(Math.min(atOnce, tokens.length));
            expectValues(`${site}, ${atOnce} at once`, found, await numbers(expected), tolerance);
          }
        }
        expect(tf.memory().numTensors).toBe(before);
      });
    },
  );

  it.each(FIXTURES)(
    'of the last position are those that it has among all, to the last bit (%s)',
    async (fixture) => {
      await withModel(device, fixture, async (model, tokens) => {
        for (const length of [1, 4, 11, 12, 17, tokens.length]) {
          const prompt = tokens.slice(0, length);
          using whole = await model.forward(prompt);
          using pass = await model.forward(prompt, {
            logits: 'none',
            capture: (name) => name === BEFORE_UNEMBEDDING,
          });
          const before = tf.memory().numTensors;
          expect(await lastLogits(model, pass.activations.get(BEFORE_UNEMBEDDING))).toEqual(
            await whole.lastLogits(),
          );
          expect(tf.memory().numTensors).toBe(before);
        }
      });
    },
  );

  it('that were given up in the middle leave nothing behind', async () => {
    await withModel(device, 'tiny-a', async (model, tokens) => {
      using pass = await model.forward(tokens, {
        logits: 'none',
        capture: (name) => name === BEFORE_UNEMBEDDING,
      });
      const rows = pass.activations.get<Tensor2D>(BEFORE_UNEMBEDDING);
      const before = tf.memory().numTensors;
      for await (const [block] of logitBlocks(model, [rows], 'logits', { blockBytes: 1 })) {
        expect(block!.shape[0]).toBe(1);
        break;
      }
      const control = new AbortController();
      control.abort(new Error('stop'));
      const blocks = logitBlocks(model, [rows], 'logits', { signal: control.signal });
      await expect(blocks.next()).rejects.toThrow('stop');
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  it('that nobody asks for are not computed, nor layers behind the last that is looked at', async () => {
    await withModel(device, 'tiny-a', async (model, tokens) => {
      const all = [0, 1, 2, 3];
      const capture = (...names: HookName[]) => ({ capture: (name: HookName) => names.includes(name) });
      const edits = new Map<HookName, () => undefined>([['blocks.2.hook_resid_mid', () => undefined]]);
      const none = { logits: 'none' } as const;
      const cases: readonly (readonly [ForwardOptions, number[], number])[] = [
        [{}, all, 1],
        [{ logits: 'last' }, all, 1],
        [none, [], 0],
        [{ ...none, ...capture('hook_embed') }, [], 0],
        [{ ...none, ...capture('blocks.0.ln2.hook_normalized', 'blocks.1.ln2.hook_normalized') }, [0, 1], 0],
        [{ ...none, ...capture('blocks.0.hook_resid_pre'), edits }, [0, 1, 2], 0],
        [{ ...none, ...capture('ln_final.hook_scale') }, all, 0],
        [{ ...none, ...capture('unembed.hook_pre') }, all, 0],
      ];
      for (const [options, layers, nUnembeddings] of cases)
        expect(await extentOf(model, tokens, options)).toEqual({ layers, nUnembeddings });
      using whole = await model.forward(tokens, { capture: () => true });
      using part = await model.forward(tokens, { ...none, ...capture('blocks.1.hook_mlp_out') });
      expect(await numbers(part.activations.get('blocks.1.hook_mlp_out'))).toEqual(
        await numbers(whole.activations.get('blocks.1.hook_mlp_out')),
      );
    });
  });
});
