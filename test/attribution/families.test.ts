/** Attribution graphs of each family and each layout of sets against circuit-tracer, and checked against passes of the model. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { attribute } from '../../src/attribution/attribute.ts';
import { verifyAttribution } from '../../src/attribution/verify.ts';
import { goldenIds, readGolden } from '../graph/golden.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import {
  FAMILIES,
  FAMILY_FIXTURES,
  LAYOUT_FIXTURES,
  prompts,
  type FamilyFixture,
  tolerances,
  type PromptName,
} from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectGraph } from './golden-attribution.ts';

const VERIFIED_EDGES = 20;

/** Of the sets that are copied here: a graph's id begins with that of its set. */
const GRAPHS = [
  ...goldenIds(FAMILIES).filter(({ fixture, id }) =>
    FAMILY_FIXTURES[fixture as FamilyFixture].some((set) => id.startsWith(`graph-${set}-p`)),
  ),
  ...goldenIds(LAYOUT_FIXTURES),
];

describe.each(TEST_DEVICES)('attribution of other families and layouts on %s', (device) => {
  it.each(GRAPHS)('finds features, targets and edges of $fixture $id', async ({ fixture, id }) => {
    const { entry, graph } = await readGolden(fixture, id);
    const tolerance = tolerances(fixture);
    const tokens = prompts(fixture)[entry.prompt as PromptName].token_ids;
    const { options } = entry;
    await openBackend(device);
    const before = tf.memory().numTensors;
    {
      using loaded = await loadFixture(device, fixture, entry.set);
      using result = await attribute(loaded.replacement, loaded.tokenizer, tokens, {
        targets: {
          kind: 'most_likely',
          maxLogits: options['max_n_logits']!,
          desiredProbability: options['desired_logit_prob']!,
        },
        maxFeatureNodes: options['max_feature_nodes'] ?? 0,
        batchSize: options['batch_size']!,
        updateInterval: options['update_interval']!,
        selection: 'reference',
      });
      expectGraph(result, graph, tolerance);
      const verification = await verifyAttribution(loaded.replacement, result, {
        n_edges: VERIFIED_EDGES,
        arithmetic: 'float32',
      });
      expect(verification).toMatchObject({ ok: true });
    }
    expect(tf.memory().numTensors - before).toBe(0);
  });
});
