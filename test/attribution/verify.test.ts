import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { attribute, type Attribution } from '../../src/attribution/attribute.ts';
import { verifyAttribution, type Verification } from '../../src/attribution/verify.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { prompts, type Fixture } from '../support/golden.ts';
import { loadFixture, type LoadedFixture } from '../support/replacement.ts';

const N_EDGES = 15;

function trace({ replacement, tokenizer }: LoadedFixture, fixture: Fixture, maxFeatureNodes = 0) {
  return attribute(replacement, tokenizer, prompts(fixture).p2.token_ids, {
    targets: { kind: 'most_likely', maxLogits: 3, desiredProbability: 1 },
    maxFeatureNodes,
    batchSize: 64,
    updateInterval: 4,
    selection: 'reference',
  });
}

function verify({ replacement }: LoadedFixture, attribution: Attribution): Promise<Verification> {
  return verifyAttribution(replacement, attribution, { n_edges: N_EDGES, arithmetic: 'float32' });
}

describe.each(TEST_DEVICES)('verification on %s', (device) => {
  it.each([
    ['tiny-a', 'plt-jumprelu', 0],
    ['tiny-a', 'plt-relu-skip', 0],
    ['tiny-a', 'plt-topk', 50],
    ['tiny-a', 'clt', 0],
    ['tiny-b', 'plt-relu-skip', 40],
    ['tiny-b', 'gemmascope', 0],
    ['tiny-b', 'clt', 40],
  ] as const)('finds the edges of %s %s right, with at most %d features', async (fixture, set, limit) => {
    await openBackend(device);
    const before = tf.memory().numTensors;
    {
      using loaded = await loadFixture(device, fixture, set);
      using attribution = await trace(loaded, fixture, limit);
      const found = await verify(loaded, attribution);
      expect(found).toMatchObject({ ok: true, n_edges: N_EDGES });
      expect(found.n_rows).toBe(attribution.selected.length + 3);
      expect(found.worst_edge_error).toBeGreaterThan(0); // something was measured
      expect(found.median_edge_error).toBeLessThanOrEqual(found.worst_edge_error);
    }
    expect(tf.memory().numTensors - before).toBe(0);
  });
});

describe('verification', () => {
  const device = TEST_DEVICES[0]!;

  it('finds edges that are too large, and names the worst', async () => {
    using loaded = await loadFixture(device, 'tiny-a', 'plt-jumprelu');
    using attribution = await trace(loaded, 'tiny-a');
    const edges = attribution.edges.map((edge) => edge * 1.01);
    const found = await verify(loaded, { ...attribution, edges });
    expect(found.ok).toBe(false);
    expect(found.worst_edge!.edge / found.worst_edge!.measured).toBeCloseTo(1.01, 4);
    expect(found.worst_row_error).toBeGreaterThan(found.tolerance);
  });

  it('finds a single missing edge by the sum of its row', async () => {
    using loaded = await loadFixture(device, 'tiny-a', 'clt');
    using attribution = await trace(loaded, 'tiny-a');
    const edges = attribution.edges.slice();
    const n_nodes = edges.length / (attribution.selected.length + 3);
    const row = attribution.selected.length; // the first logit
    const logit = edges.subarray(row * n_nodes, (row + 1) * n_nodes);
    const strongest = logit.reduce(
      (best, edge, i) => (Math.abs(edge) > Math.abs(logit[best]!) ? i : best),
      0,
    );
    logit[strongest] = 0;
    const found = await verify(loaded, { ...attribution, edges });
    expect(found.ok).toBe(false);
    expect(found.worst_row_error).toBeGreaterThan(found.tolerance);
  });

  it('finds activations that are not those of the edges', async () => {
    using loaded = await loadFixture(device, 'tiny-b', 'plt-relu-skip');
    using attribution = await trace(loaded, 'tiny-b');
    const values = attribution.features.values.map((value) => value * 2);
    const found = await verify(loaded, { ...attribution, features: { ...attribution.features, values } });
    expect(found.ok).toBe(false);
  });

  it('counts numbers that are not finite as wrong', async () => {
    using loaded = await loadFixture(device, 'tiny-b', 'plt-jumprelu');
    using attribution = await trace(loaded, 'tiny-b');
    const found = await verify(loaded, { ...attribution, edges: attribution.edges.map(() => NaN) });
    expect(found.ok).toBe(false);
    expect(found.worst_row_error).toBeNaN();
  });
});
