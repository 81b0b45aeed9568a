/** Heads of a whole target are the sums of its links' loadings, and on logits what heads do directly. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { headEffects } from '../../src/attention/effects.ts';
import type { Link } from '../../src/attention/placed-links.ts';
import { headLoadings } from '../../src/attention/loadings.ts';
import { nodeHeads, type NodeHeads } from '../../src/attention/node-heads.ts';
import { featureBatches, logitBatch, type TargetBatch } from '../../src/attention/target-walk.ts';
import { TracedPrompt } from '../../src/attention/traced-prompt.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { prompts, setsOf, type Fixture } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { likelyLogits } from './likely-logits.ts';

/** Relative to the sizes of what is summed. */
const TOLERANCE = 1e-5;
const [DEVICE] = TEST_DEVICES;

/** By row, layer and head. */
function brought({ lastKeys, n_pos }: NodeHeads): number[] {
  return Array.from({ length: lastKeys.length / n_pos }, (_, i) =>
    lastKeys.subarray(i * n_pos, (i + 1) * n_pos).reduce((sum, value) => sum + value, 0),
  );
}

/** Of tiny-a values have no biases; those below write constants, which pass through heads as sources of their own. */
async function expectSums(prompt: TracedPrompt, batch: TargetBatch): Promise<void> {
  const { list } = prompt;
  const found = await nodeHeads(prompt, batch);
  const heads = brought(found);
  const size = found.n_layers * found.n_heads;
  const sources = Int32Array.from({ length: list.n_sources }, (_, source) => source);
  const links = Array.from({ length: batch.n * sources.length }, (_, i): Link => ({
    source: i % sources.length,
    target: batch.targets[Math.floor(i / sources.length)]!,
  }));
  const { direct, last } = await headLoadings(prompt, { sources, batches: [batch], links, kinds: ['last'] });
  for (let row = 0; row < batch.n; row++) {
    const own = Array.from(sources, (source) => row * sources.length + source);
    const expectSum = (value: number, parts: number[]): void => {
      const scale = parts.reduce((sum, part) => sum + Math.abs(part), 1);
      const sum = parts.reduce((all, part) => all + part, 0);
      expect(Math.abs(value - sum) / scale).toBeLessThan(TOLERANCE);
    };
    expectSum(
      found.direct[row]!,
      own.map((link) => direct[link]!),
    );
    for (let head = 0; head < size; head++)
      expectSum(
        heads[row * size + head]!,
        own.map((link) => last[link * size + head]!),
      );
  }
  expect(heads.some((value) => Math.abs(value) > 0.01)).toBe(true);
}

describe('heads of a node', () => {
  it('are sums of `last` over all links of features and logits', async () => {
    await openBackend(DEVICE!);
    const before = tf.memory().numTensors;
    {
      using loaded = await loadFixture(DEVICE!, 'tiny-a', 'plt-jumprelu');
      using prompt = await TracedPrompt.of(loaded.replacement, prompts('tiny-a').p2.token_ids);
      const { n_features } = prompt.list;
      // Of several layers and positions: their rows start one after another.
      const chosen = Int32Array.of(0.3 * n_features, 0.6 * n_features, n_features - 1);
      for (const batch of featureBatches(prompt, chosen, 8)) await expectSums(prompt, batch);
      using targets = await likelyLogits(loaded, prompt);
      await expectSums(prompt, logitBatch(prompt, targets.vectors));
    }
    expect(tf.memory().numTensors - before).toBe(0);
  });

  it.each<Fixture>(['tiny-a', 'families/gpt2'])(
    'are direct effects on logits of %s, biases included',
    async (fixture) => {
      await openBackend(DEVICE!);
      using loaded = await loadFixture(DEVICE!, fixture, setsOf(fixture)[0]!);
      using prompt = await TracedPrompt.of(loaded.replacement, prompts(fixture).p2.token_ids);
      using targets = await likelyLogits(loaded, prompt);
      const { direct } = await headEffects(prompt, targets.vectors);
      const heads = brought(await nodeHeads(prompt, logitBatch(prompt, targets.vectors)));
      expect(heads).toHaveLength(direct.length);
      const scale = 1 + direct.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      direct.forEach((value, i) => expect(Math.abs(value - heads[i]!) / scale).toBeLessThan(TOLERANCE));
    },
  );
});
