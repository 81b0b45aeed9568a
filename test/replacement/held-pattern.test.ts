import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { MemoryBudget } from '../../src/backend/budget.ts';
import type { HookName } from '../../src/model/hooks.ts';
import { HeldPattern, patternHook } from '../../src/replacement/held-pattern.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { loadFixture } from '../support/replacement.ts';

const tokens = (n: number): number[] => Array.from({ length: n }, (_, i) => 2 + 7 * i);
const PLENTY = 2 ** 40;
const FLOAT32_BYTES = 4;

/** The second with sinks. */
const FIXTURES = ['tiny-a', 'families/gpt-oss'] as const;
const CASES = TEST_DEVICES.flatMap((device) => FIXTURES.map((fixture) => [fixture, device] as const));

describe.each(CASES)('a pattern held from a pass of %s on %s', (fixture, device) => {
  it.each([
    ['kept', 30, PLENTY],
    ['computed again', 30, 0],
    ['kept, since queries and keys are larger', 5, 0],
  ])('is that of the pass, local and global: %s', async (what, n, bytes) => {
    using loaded = await loadFixture(device, fixture, 'plt-jumprelu');
    const { model } = loaded.replacement;
    expect(new Set(model.config.attn_types)).toEqual(new Set(['local', 'global']));
    const before = tf.memory().numTensors;
    const budget = new MemoryBudget(bytes);
    {
      const layers = Array.from({ length: model.config.n_layers }, (_, layer) => layer);
      const patterns = layers.map((layer) => new HeldPattern(model, layer, n, budget));
      const names = new Set<HookName>(patterns.flatMap(({ hooks }) => hooks));
      expect(names.has(patternHook(0))).toBe(what !== 'computed again');
      using pass = await model.forward(tokens(n), {
        capture: (name) => names.has(name),
        afterLayer: (layer, activations) => Promise.resolve(patterns[layer]!.takeFrom(activations)),
      });
      expect([...pass.activations.entries()]).toEqual([]);
      using whole = await model.forward(tokens(n), { capture: (name) => name.endsWith('hook_pattern') });
      for (const layer of layers) {
        using loan = patterns[layer]!.acquire();
        expect(await loan.value.data()).toEqual(await whole.activations.get(patternHook(layer)).data());
      }
      const patternBytes = layers.length * model.config.n_heads * n * n * FLOAT32_BYTES;
      expect(budget.usedBytes).toBe(bytes === 0 ? 0 : patternBytes);
      for (const pattern of patterns) pattern[Symbol.dispose]();
      for (const pattern of patterns) pattern[Symbol.dispose]();
    }
    expect(budget.usedBytes).toBe(0);
    expect(tf.memory().numTensors - before).toBe(0);
  });

  it('leaves to the pass what somebody else has asked for', async () => {
    using loaded = await loadFixture(device, fixture, 'plt-jumprelu');
    const { model } = loaded.replacement;
    using pattern = new HeldPattern(model, 1, 5, new MemoryBudget(PLENTY));
    using pass = await model.forward(tokens(5), {
      capture: (name) => name === patternHook(1),
      afterLayer: (layer, activations) =>
        Promise.resolve(layer === 1 ? pattern.takeFrom(activations, () => true) : undefined),
    });
    using loan = pattern.acquire();
    expect(await pass.activations.get(patternHook(1)).data()).toEqual(await loan.value.data());
  });
});
