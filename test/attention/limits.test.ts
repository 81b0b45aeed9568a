/** Sources in several batches and stores: the same numbers as in one. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { forwardBatches } from '../../src/attention/forward-batch.ts';
import { PATH_KINDS } from '../../src/attention/head-products.ts';
import { linkBatches } from '../../src/attention/link-batches.ts';
import { headLoadings } from '../../src/attention/loadings.ts';
import { targetBatches } from '../../src/attention/target-walk.ts';
import { TracedPrompt } from '../../src/attention/traced-prompt.ts';
import { TEST_DEVICES, openBackend } from '../support/backends.ts';
import { prompts, type Fixture } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { likelyLogits } from './likely-logits.ts';

const [DEVICE] = TEST_DEVICES;
const FLOAT32_BYTES = 4;
/** Room for some of the sources only. */
const N_ROWS = 60;
const STORED_BYTES = 200_000;
const TOLERANCE = 1e-5;

async function withPrompt(
  fixture: Fixture,
  set: string,
  use: (prompt: TracedPrompt, vectors: tf.Tensor2D) => Promise<void>,
): Promise<void> {
  await openBackend(DEVICE!);
  using loaded = await loadFixture(DEVICE!, fixture, set);
  using prompt = await TracedPrompt.of(loaded.replacement, prompts(fixture).p2.token_ids);
  using targets = await likelyLogits(loaded, prompt);
  await use(prompt, targets.vectors);
}

/** All sources that have a position, linked to some features and to logits. */
function everyLink(prompt: TracedPrompt, vectors: tf.Tensor2D) {
  const { list } = prompt;
  const features = Int32Array.from({ length: 12 }, (_, i) => Math.floor(((i + 4) * list.n_features) / 16));
  const sources = Int32Array.from({ length: list.start.bias }, (_, source) => source);
  const batches = targetBatches(prompt, features, vectors, 5);
  const links = batches.flatMap(({ targets }) =>
    [...targets].flatMap((target) => [...sources.keys()].map((source) => ({ source, target }))),
  );
  return { sources, batches, links, kinds: PATH_KINDS };
}

describe.each<[Fixture, string]>([
  ['tiny-a', 'plt-jumprelu'],
  ['tiny-a', 'plt-relu-skip'],
  ['tiny-a', 'clt'],
])('sources of %s %s in several batches', (fixture, set) => {
  it('each come once, with all rows of their positions', async () => {
    await withPrompt(fixture, set, ({ list, n_pos, replacement }) => {
      const { d_model } = replacement.model.config;
      const all = Array.from({ length: list.n_sources }, (_, source) => source);
      const rowBytes = d_model * FLOAT32_BYTES;
      const batches = forwardBatches(list, all, n_pos, d_model, N_ROWS * rowBytes);
      expect(batches.length).toBeGreaterThan(3);
      const groups = batches.flatMap((batch) => batch.groups);
      expect(groups.flatMap(({ sources }) => [...sources]).sort((a, b) => a - b)).toEqual(all);
      for (const { sources, firstPosition, firstLayers, n_places, isSpread } of groups) {
        expect(firstPosition + n_places).toBe(n_pos);
        expect([...firstLayers]).toEqual([...firstLayers].sort((a, b) => a - b));
        for (const source of sources)
          expect(list.describe(source).position).toBe(isSpread ? null : firstPosition);
      }
      for (const batch of batches) {
        const firsts = batch.groups.map(({ firstPosition }) => firstPosition);
        expect(firsts).toEqual([...firsts].sort((a, b) => a - b));
        const n_rows = batch.groups.reduce((sum, one) => sum + one.sources.length * one.n_places, 0);
        expect(n_rows).toBeLessThanOrEqual(N_ROWS + n_pos);
      }
      return Promise.resolve();
    });
  });

  it('have the same loadings as in one, and nothing stays in memory', async () => {
    await withPrompt(fixture, set, async (prompt, vectors) => {
      const request = everyLink(prompt, vectors);
      const whole = await headLoadings(prompt, request);
      const before = tf.memory().numTensors; // vectors of sources are kept for the prompt
      const { d_model } = prompt.replacement.model.config;
      const limits = { batchBytes: N_ROWS * d_model * FLOAT32_BYTES, storedBytes: STORED_BYTES };
      const batchesOf = new Map<number, number>();
      let n_batches = 0;
      for await (const { links } of linkBatches(prompt, { ...request, limits })) {
        n_batches++;
        for (const link of links) batchesOf.set(link, (batchesOf.get(link) ?? 0) + 1);
      }
      expect(n_batches).toBeGreaterThan(request.batches.length);
      expect(batchesOf.size).toBe(request.links.length);
      expect(new Set(batchesOf.values())).toEqual(new Set([1]));
      const parts = await headLoadings(prompt, { ...request, limits });
      for (const kind of ['direct', ...PATH_KINDS] as const) {
        const size = whole[kind].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        expect(size).toBeGreaterThan(0.001);
        whole[kind].forEach((value, i) => {
          if (Math.abs(value - parts[kind][i]!) > TOLERANCE * (1 + size)) {
            throw new Error(`${kind} of ${i}: ${parts[kind][i]} instead of ${value}`);
          }
        });
      }
      expect(tf.memory().numTensors - before).toBe(0);
    });
  });
});
