import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { attribute, type AttributionOptions } from '../../src/attribution/attribute.ts';
import { verifyAttribution } from '../../src/attribution/verify.ts';
import { MemoryBudget } from '../../src/backend/budget.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { prompts, type Fixture } from '../support/golden.ts';
import { mostAtOnce } from '../support/loans.ts';
import { loadFixture, type LoadedFixture } from '../support/replacement.ts';

/** Long enough that patterns are larger than queries and keys, and longer than the window of local layers. */
const LONG = Array.from({ length: 24 }, (_, i) => (i === 0 ? 2 : 300 + ((i * 37) % 200)));
const FLOAT32_BYTES = 4;
const PLENTY = 2 ** 40;

const OPTIONS = {
  targets: { kind: 'most_likely', maxLogits: 3, desiredProbability: 1 },
  maxFeatureNodes: 60,
  batchSize: 8,
  updateInterval: 2,
  selection: 'reference',
} as const satisfies AttributionOptions;

const CASES: readonly [Fixture, string, Partial<AttributionOptions>][] = [
  ['tiny-a', 'plt-jumprelu', { maxFeatureNodes: 0, batchSize: 64 }],
  ['tiny-a', 'plt-relu-skip', {}],
  ['tiny-a', 'clt', { selection: 'exact' }],
  ['tiny-b', 'plt-relu-skip', { updateInterval: 100 }],
  ['tiny-b', 'clt', {}],
];

async function traced(
  { replacement, tokenizer }: LoadedFixture,
  options: Partial<AttributionOptions>,
  tokens: readonly number[] = LONG,
) {
  using result = await attribute(replacement, tokenizer, tokens, { ...OPTIONS, ...options });
  const verification = await verifyAttribution(replacement, result, { n_edges: 3, arithmetic: 'float32' });
  return {
    edges: Buffer.from(result.edges.buffer).toString('base64'),
    selected: result.selected,
    verification,
  };
}

describe.each(TEST_DEVICES)('attribution within a memory budget on %s', (device) => {
  it.each(CASES)('gives the same numbers with none at all: %s %s', async (fixture, set, options) => {
    await openBackend(device);
    const before = tf.memory().numTensors;
    {
      using roomy = await loadFixture(device, fixture, set, new MemoryBudget(PLENTY));
      using tight = await loadFixture(device, fixture, set, new MemoryBudget(0));
      const expected = await traced(roomy, options);
      expect(await traced(tight, options)).toEqual(expected);
      expect(expected.verification.ok).toBe(true);
      expect(tight.replacement.folded.heldBytes).toBe(0);
      expect(tight.replacement.budget.usedBytes).toBe(0);
    }
    expect(tf.memory().numTensors - before).toBe(0);
  });

  it('counts folded weights for the session, and what a prompt needs for the prompt', async () => {
    const budget = new MemoryBudget(PLENTY);
    using loaded = await loadFixture(device, 'tiny-a', 'plt-relu-skip', budget);
    const { folded, model } = loaded.replacement;
    const { n_layers, n_heads, n_kv_heads, d_head, d_model } = model.config;
    const ofWeights = budget.usedBytes;
    let whilePrepared = 0;
    await traced(loaded, { onPrepared: () => (whilePrepared = budget.usedBytes) });
    // What is multiplied as it is stored is not folded.
    const isFolded = !model.weights.blocks[0]!.matrices.W_O.isMultipliedAsStored;
    const matrices = isFolded ? n_layers * (n_heads + n_kv_heads) * d_head * d_model : 0;
    expect(folded.heldBytes).toBe((matrices + d_model) * FLOAT32_BYTES);
    expect(budget.usedBytes).toBe(ofWeights + folded.heldBytes);
    const patterns = n_layers * n_heads * LONG.length ** 2 * FLOAT32_BYTES;
    expect(whilePrepared).toBeGreaterThan(budget.usedBytes + patterns);
  });

  it('folds weights once for a session, and for each use where there is no room', async () => {
    const { p1, p2 } = prompts('tiny-a');
    const foldings = async (bytes: number): Promise<number[]> => {
      using loaded = await loadFixture(device, 'tiny-a', 'plt-jumprelu', new MemoryBudget(bytes));
      const { W_O } = loaded.replacement.model.weights.blocks[1]!.matrices;
      const rows = W_O.rows.bind(W_O);
      let n = 0;
      W_O.rows = (indices) => {
        n++;
        return rows(indices);
      };
      const counts: number[] = [];
      for (const { token_ids } of [p1, p2, p1]) {
        await traced(loaded, {}, token_ids);
        counts.push(n);
      }
      return counts;
    };
    if (device === 'cpu') {
      expect(await foldings(0)).toEqual([0, 0, 0]);
      return;
    }
    expect(await foldings(PLENTY)).toEqual([1, 1, 1]);
    const [first, second, third] = await foldings(0);
    expect(first).toBeGreaterThan(1);
    expect(second).toBeGreaterThan(first!);
    expect(third).toBeGreaterThan(second!);
  });

  it('has streamed weights of one layer in memory at a time', async () => {
    using loaded = await loadFixture(device, 'tiny-b', 'plt-relu-skip', new MemoryBudget(0));
    const { model, transcoders } = loaded.replacement;
    const skips = mostAtOnce(transcoders.layers.map(({ W_skip }) => W_skip!));
    const projections = mostAtOnce(model.weights.blocks.flatMap(({ matrices: { W_O, W_V } }) => [W_O, W_V]));
    await traced(loaded, {});
    expect(skips()).toBe(1);
    expect(projections()).toBe(2);
  });

  it('gives everything back when it is interrupted', async () => {
    const budget = new MemoryBudget(PLENTY);
    using loaded = await loadFixture(device, 'tiny-a', 'clt', budget);
    await traced(loaded, {});
    const [usedBytes, { numTensors }] = [budget.usedBytes, tf.memory()];
    for (const stopAt of [0, 9]) {
      const stop = new AbortController();
      const work = traced(loaded, {
        signal: stop.signal,
        onProgress: (done) => done >= stopAt && stop.abort(new Error('stopped')),
      });
      await expect(work).rejects.toThrow('stopped');
      expect([budget.usedBytes, tf.memory().numTensors]).toEqual([usedBytes, numTensors]);
    }
    await expect(traced(loaded, { signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow(
      'stopped',
    );
    expect([budget.usedBytes, tf.memory().numTensors]).toEqual([usedBytes, numTensors]);
  });
});
