import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { readFileSync } from 'node:fs';
import { attribute } from '../../src/attribution/attribute.ts';
import type { TargetChoice } from '../../src/attribution/targets.ts';
import { goldenIds, readGolden } from '../graph/golden.ts';
import { casesOn, GOLDEN_DEVICES, openBackend } from '../support/backends.ts';
import { goldenPath, prompts, tolerances, type Fixture, type PromptName } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectGraph } from './golden-attribution.ts';
import { prepare } from './prepare.ts';
import { expectValues, readTensors } from '../support/tensors.ts';

interface GoldenTargets {
  readonly kind: 'strings' | 'token_ids' | 'custom';
  readonly value: readonly (string | number | { token_str: string; prob: number; vec: number[] })[];
}

interface Entry {
  readonly set: string;
  readonly prompt: PromptName;
  readonly options: {
    readonly max_n_logits: number;
    readonly desired_logit_prob: number;
    readonly batch_size: number;
    readonly max_feature_nodes: number | null;
    readonly update_interval: number;
  };
  readonly attribution_targets: GoldenTargets | null;
}

function choice({ attribution_targets: given, options }: Entry): TargetChoice {
  switch (given?.kind) {
    case undefined:
      return {
        kind: 'most_likely',
        maxLogits: options.max_n_logits,
        desiredProbability: options.desired_logit_prob,
      };
    case 'strings':
      return { kind: 'strings', texts: given.value as string[] };
    case 'token_ids':
      return { kind: 'tokens', ids: given.value as number[] };
    case 'custom': {
      const directions = given.value as { token_str: string; prob: number; vec: number[] }[];
      return {
        kind: 'custom',
        directions: directions.map(({ token_str, prob, vec }) => ({
          label: token_str,
          probability: prob,
          vector: vec,
        })),
      };
    }
  }
}

function entryOf(fixture: Fixture, id: string): Entry {
  const all = JSON.parse(readFileSync(goldenPath(fixture, 'expected', 'graphs.json'), 'utf8')) as Record<
    string,
    Entry
  >;
  return all[id]!;
}

describe.each(GOLDEN_DEVICES)('attribution on %s', (device) => {
  it.each(casesOn(device, goldenIds()))(
    'finds features, targets and edges of $fixture $id',
    async ({ fixture, id }) => {
      const entry = entryOf(fixture, id);
      const golden = await readGolden(fixture, id);
      const tolerance = tolerances(fixture);
      const tokens = prompts(fixture)[entry.prompt].token_ids;
      await openBackend(device);
      const before = tf.memory().numTensors;
      {
        using loaded = await loadFixture(device, fixture, entry.set);
        using result = await attribute(loaded.replacement, loaded.tokenizer, tokens, {
          targets: choice(entry),
          maxFeatureNodes: entry.options.max_feature_nodes ?? 0,
          batchSize: entry.options.batch_size,
          updateInterval: entry.options.update_interval,
          selection: 'reference',
        });
        expectGraph(result, golden.graph, tolerance);
      }
      expect(tf.memory().numTensors - before).toBe(0);
    },
  );

  it.each(
    casesOn(
      device,
      goldenIds().filter(({ id }) => /^graph-[a-z-]+-p2$/.test(id)),
    ),
  )(
    'reconstructs what the MLPs wrote in $fixture $id up to the error vectors of the reference',
    async ({ fixture, id }) => {
      const entry = entryOf(fixture, id);
      const expected = await readTensors(
        goldenPath(fixture, 'expected', `transcoder-${entry.set}.safetensors`),
      );
      using loaded = await loadFixture(device, fixture, entry.set);
      using prepared = await prepare(loaded.replacement, prompts(fixture).p2.token_ids);
      expectValues(
        'error_vectors',
        await prepared.errorVectors(),
        expected.get('p2/error_vectors')!.values,
        tolerances(fixture).transcoder,
      );
      expectValues(
        'token_vectors',
        await prepared.pass.tokenVectors.data(),
        expected.get('p2/token_vectors')!.values,
        tolerances(fixture).transcoder,
      );
    },
  );
});
