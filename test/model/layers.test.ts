import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { blockHook } from '../../src/model/hooks.ts';
import { prompts } from '../support/golden.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { loadFixture } from '../support/replacement.ts';

describe.each(TEST_DEVICES)('a pass that is followed layer by layer on %s', (device) => {
  const { p1 } = prompts('tiny-a');

  it('hands on what it captured: what is taken is no longer the pass’s', async () => {
    using loaded = await loadFixture(device, 'tiny-a', 'plt-jumprelu');
    const { model } = loaded.replacement;
    const before = tf.memory().numTensors;
    const taken: tf.Tensor[] = [];
    {
      using pass = await model.forward(p1.token_ids, {
        capture: (name) => name.endsWith('hook_resid_post'),
        afterLayer: (layer, activations) => {
          expect([...activations.entries()]).toHaveLength(1);
          if (layer < 3) taken.push(activations.take(blockHook(layer, 'hook_resid_post')));
          expect(activations.has(blockHook(layer, 'hook_resid_post'))).toBe(layer === 3);
          return Promise.resolve();
        },
      });
      expect([...pass.activations.entries()].map(([name]) => name)).toEqual([
        blockHook(3, 'hook_resid_post'),
      ]);
      expect(() => pass.activations.get(blockHook(0, 'hook_resid_post'))).toThrow('not captured');
    }
    {
      using whole = await model.forward(p1.token_ids, {
        capture: (name) => name.endsWith('hook_resid_post'),
      });
      for (const [layer, value] of taken.entries()) {
        const expected = whole.activations.get(blockHook(layer, 'hook_resid_post'));
        expect(await value.data()).toEqual(await expected.data());
        value.dispose();
      }
    }
    expect(tf.memory().numTensors - before).toBe(0);
  });

  it('holds what a layer needs while it runs, and leaves nothing when what follows fails', async () => {
    using loaded = await loadFixture(device, 'tiny-a', 'plt-jumprelu');
    const { model } = loaded.replacement;
    const events: string[] = [];
    const follow = (failing?: number) => ({
      beforeLayer: (layer: number) => {
        events.push(`before ${layer}`);
        return Promise.resolve(
          layer === 1 ? null : { [Symbol.dispose]: () => void events.push(`disposed ${layer}`) },
        );
      },
      afterLayer: (layer: number) => {
        events.push(`after ${layer}`);
        return layer === failing ? Promise.reject(new Error('full')) : Promise.resolve();
      },
    });
    using _pass = await model.forward(p1.token_ids, follow());
    expect(events).toEqual([
      ...['before 0', 'disposed 0', 'after 0', 'before 1', 'after 1', 'before 2', 'disposed 2', 'after 2'],
      ...['before 3', 'disposed 3', 'after 3'],
    ]);
    const before = tf.memory().numTensors;
    events.length = 0;
    await expect(
      model.forward(p1.token_ids, { ...follow(2), capture: (name) => name.endsWith('hook_pattern') }),
    ).rejects.toThrow('full');
    expect(events.slice(-2)).toEqual(['disposed 2', 'after 2']);
    expect(tf.memory().numTensors - before).toBe(0);
  });
});
