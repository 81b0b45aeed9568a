import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { MemoryBudget } from '../../src/backend/budget.ts';
import { plannedChanges } from '../../src/intervention/compare.ts';
import { Freeze, type FreezeOptions } from '../../src/intervention/freeze.ts';
import { changedPass, originalPass } from '../../src/intervention/intervene.ts';
import { InterventionPlan } from '../../src/intervention/plan.ts';
import { resolveInterventions } from '../../src/intervention/resolve.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { mostAtOnce } from '../support/loans.ts';
import { loadFixture, type LoadedFixture } from '../support/replacement.ts';

/** Long enough that patterns are larger than queries and keys, and longer than the window of local layers. */
const TOKENS = Array.from({ length: 24 }, (_, i) => (i === 0 ? 2 : 300 + ((i * 37) % 200)));
const PLENTY = 2 ** 40;
const FREEZES: readonly [string, FreezeOptions][] = [
  ['patterns', {}],
  ['nothing', { freezeAttention: false }],
  ['everything', { constrainedLayers: { from: 0, to: 3 } }],
  ['two layers', { constrainedLayers: { from: 1, to: 3 } }],
];

/** Logits of a pass in which features of every layer are doubled, and what the plan says of their activations. */
async function changed({ replacement }: LoadedFixture, freezeOptions: FreezeOptions) {
  const { n_layers } = replacement.model.config;
  const { featureCounts } = replacement.transcoders;
  const interventions = [0, 1, 2].flatMap((layer) =>
    [3, 40, 77].map((feature) => ({
      layer,
      feature,
      pos: 20,
      change: { kind: 'add', amount: 2 } as const,
    })),
  );
  const extent = { featureCounts, n_pos: TOKENS.length };
  const freeze = new Freeze(freezeOptions, n_layers);
  using plan = await InterventionPlan.of(replacement, resolveInterventions(interventions, extent));
  using original = await originalPass(replacement, TOKENS, freeze);
  const changes = await plannedChanges(replacement, plan, original, TOKENS);
  using pass = await changedPass(replacement, TOKENS, plan, freeze, original);
  const usedBytes = replacement.budget.usedBytes;
  const [before, after] = [await original.logits.data(), await pass.logits.data()];
  expect(after).not.toEqual(before);
  return { usedBytes, numbers: { changes, logits: Buffer.from(after.buffer).toString('base64') } };
}

describe.each(TEST_DEVICES)('interventions within a memory budget on %s', (device) => {
  describe.each(['plt-topk', 'plt-relu-skip', 'clt'])('%s', (set) => {
    it.each(FREEZES)('give the same numbers with none at all, holding %s', async (_, freeze) => {
      await openBackend(device);
      const before = tf.memory().numTensors;
      {
        const budget = new MemoryBudget(PLENTY);
        using roomy = await loadFixture(device, 'tiny-b', set, budget);
        using tight = await loadFixture(device, 'tiny-b', set, new MemoryBudget(0));
        const ofWeights = budget.usedBytes;
        const expected = await changed(roomy, freeze);
        const found = await changed(tight, freeze);
        expect(found.numbers).toEqual(expected.numbers);
        expect(found.usedBytes).toBe(0);
        const { n_layers, n_heads } = roomy.replacement.model.config;
        const patternBytes =
          freeze.freezeAttention === false ? 0 : n_layers * n_heads * TOKENS.length ** 2 * 4;
        expect(expected.usedBytes).toBe(ofWeights + patternBytes);
        expect(budget.usedBytes).toBe(ofWeights);
      }
      expect(tf.memory().numTensors - before).toBe(0);
    });

    it.each(FREEZES)(
      'have streamed weights of one layer in memory at a time, holding %s',
      async (_, freeze) => {
        using loaded = await loadFixture(device, 'tiny-b', set, new MemoryBudget(0));
        const { layers } = loaded.replacement.transcoders;
        const skips = mostAtOnce(layers.flatMap(({ W_skip }) => W_skip ?? []));
        const encoders = mostAtOnce(layers.map(({ W_enc }) => W_enc));
        await changed(loaded, freeze);
        const needsSkips = set === 'plt-relu-skip' && freeze.constrainedLayers !== undefined;
        expect([skips(), encoders()]).toEqual([needsSkips ? 1 : 0, set === 'plt-topk' ? 1 : 0]);
      },
    );
  });
});
