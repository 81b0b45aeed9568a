/** Sums of sources are what the pass has: in every family, with every set, and in models alone. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { forwardBatches } from '../../src/attention/forward-batch.ts';
import { walkForth } from '../../src/attention/forward.ts';
import { PATH_KINDS } from '../../src/attention/head-products.ts';
import { headLoadings, weightOf } from '../../src/attention/loadings.ts';
import { scoreParts } from '../../src/attention/score-parts.ts';
import { contrastTotal, queryScores, type Against } from '../../src/attention/scores.ts';
import { targetBatches } from '../../src/attention/target-walk.ts';
import { TracedPrompt } from '../../src/attention/traced-prompt.ts';
import { attribute } from '../../src/attribution/attribute.ts';
import { chooseTargets } from '../../src/attribution/targets.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { blockHook } from '../../src/model/hooks.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { Random } from '../../src/random.ts';
import { ReplacementModel } from '../../src/replacement/replacement-model.ts';
import { NO_SET_DESCRIPTION } from '../../src/transcoder/no-set.ts';
import { openSet } from '../../src/transcoder/open.ts';
import { loadSet } from '../../src/transcoder/transcoder-set.ts';
import { openBackend, TEST_DEVICES, type TestDevice } from '../support/backends.ts';
import {
  FAMILIES,
  FIXTURES,
  folder,
  LAYOUT_FIXTURES,
  prompts,
  IS_FULL,
  setsOf,
  type Fixture,
} from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';

const MODELS = path.join(import.meta.dirname, '../fixtures/transformers');
const ALONE = readdirSync(MODELS, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);
/** Layouts with a hook before a norm, and with a skip. */
const FEW_LAYOUTS: readonly Fixture[] = ['layouts/crv', 'layouts/saelens-skip'];
/** In `npm test` the first set of each family on one engine; the others differ from it in parts that golden data cover. */
const SETS = [...FIXTURES, ...FAMILIES, ...(IS_FULL ? LAYOUT_FIXTURES : FEW_LAYOUTS)].flatMap((fixture) =>
  (IS_FULL ? setsOf(fixture) : setsOf(fixture).slice(0, 1)).map((set): [Fixture, string] => [fixture, set]),
);
/** Of sums of float32 products, relative to what is summed. */
const TOLERANCE = 1e-5;
const N_HEADS = 6;
const N_LINKS = 12;

describe.each(IS_FULL ? TEST_DEVICES : TEST_DEVICES.slice(0, 1))('sums of sources on %s', (device) => {
  it.each(SETS)('are residual streams, scores and edges of %s %s', async (fixture, set) => {
    await openBackend(device);
    const before = tf.memory().numTensors;
    {
      using loaded = await loadFixture(device, fixture, set);
      const tokens = prompts(fixture).p2.token_ids;
      await expectResiduals(loaded.replacement, tokens);
      await expectScores(loaded.replacement, tokens);
      await expectEdges(loaded.replacement, loaded.tokenizer, tokens);
    }
    expect(tf.memory().numTensors - before).toBe(0);
  });

  it.each(ALONE)('are residual streams and scores of %s without a set', async (name) => {
    const { tokens } = JSON.parse(readFileSync(path.join(MODELS, name, 'expected.json'), 'utf8')) as {
      tokens: number[];
    };
    using replacement = await modelAlone(device, path.join(MODELS, name));
    await expectResiduals(replacement, tokens);
    await expectScores(replacement, tokens);
  });
});

async function modelAlone(device: TestDevice, root: string): Promise<ReplacementModel> {
  const backend = await openBackend(device);
  using checkpoint = await openCheckpoint(folder(root));
  const nothing = { name: 'none', has: () => false, open: () => Promise.reject(new Error('no set')) };
  using opened = await openSet(nothing, NO_SET_DESCRIPTION, checkpoint.config, { allowMissingLayers: true });
  const model = await loadTransformer(backend, checkpoint);
  return new ReplacementModel(model, await loadSet(backend, opened));
}

/** Identity 1. */
async function expectResiduals(replacement: ReplacementModel, tokens: number[]): Promise<void> {
  using prompt = await TracedPrompt.of(replacement, tokens);
  const { n_layers, d_model } = replacement.model.config;
  const { n_pos, list } = prompt;
  using pass = await replacement.forward(tokens, {
    capture: (name) => name.endsWith('hook_resid_pre') || name === blockHook(n_layers - 1, 'hook_resid_post'),
  });
  const sums = Array.from({ length: n_layers + 1 }, () => new Float64Array(n_pos * d_model));
  const sizes = Array.from({ length: n_layers + 1 }, () => new Float64Array(n_pos * d_model));
  const all = Array.from({ length: list.n_sources }, (_, i) => i);
  for (const batch of forwardBatches(list, all, n_pos, d_model)) {
    await walkForth(
      prompt,
      batch,
      { stop: n_layers },
      {
        async residual(layer, { layout, x }) {
          const positions = layout.positions();
          (await x.data<'float32'>()).forEach((value, i) => {
            const at = positions[Math.floor(i / d_model)]! * d_model + (i % d_model);
            sums[layer]![at]! += value;
            sizes[layer]![at]! += Math.abs(value);
          });
        },
      },
    );
  }
  for (let layer = 0; layer <= n_layers; layer++) {
    const hook =
      layer < n_layers ? blockHook(layer, 'hook_resid_pre') : blockHook(layer - 1, 'hook_resid_post');
    const expected = await pass.activations.get(hook).data<'float32'>();
    const worst = expected.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - sums[layer]![i]!) / (1 + sizes[layer]![i]!)),
      0,
    );
    expect(worst).toBeLessThan(TOLERANCE);
  }
}

/** Identities 2 and 3, and both walks give the same. */
async function expectScores(replacement: ReplacementModel, tokens: number[]): Promise<void> {
  const { n_layers, n_heads } = replacement.model.config;
  const random = new Random(tokens.length);
  using prompt = await TracedPrompt.of(replacement, tokens, {
    scoresOf: Array.from({ length: n_layers }, (_, layer) => layer),
  });
  for (let i = 0; i < N_HEADS; i++) {
    const [layer, head, query] = [random.below(n_layers), random.below(n_heads), random.below(tokens.length)];
    const of = await queryScores(prompt, layer, head, query);
    const key = of.visible[0] + random.below(of.scores.length);
    const againsts: Against[] = of.scores.length > 1 ? [null, 'mean', 'pattern'] : [null];
    const requests = againsts.map((against) => ({ of, key, against }));
    const back = await scoreParts(prompt, layer, requests, 'back');
    const forth = await scoreParts(prompt, layer, requests, 'forth');
    for (const [j, part] of back.entries()) {
      const against = againsts[j]!;
      const size = part.queryMarginal.reduce((sum, value) => sum + Math.abs(value), 1);
      const total = part.queryMarginal.reduce((sum, value) => sum + value, 0);
      const expected =
        against === null
          ? of.scores[key - of.visible[0]]!
          : logRatio(of.pattern, key - of.visible[0], contrastTotal(of, key, against)!, against);
      expect(Math.abs(total - expected) / size).toBeLessThan(TOLERANCE);
      part.queryMarginal.forEach((value, source) =>
        expect(Math.abs(value - forth[j]!.queryMarginal[source]!) / size).toBeLessThan(TOLERANCE),
      );
    }
  }
}

/** What a contrast adds up to, straight from the pattern where it does not vanish. */
function logRatio(pattern: Float32Array, at: number, fallback: number, against: Against): number {
  if (against !== 'mean' || pattern.some((value) => value < 1e-20)) return fallback;
  const others = Array.from(pattern).filter((_, i) => i !== at);
  const ratio =
    Math.log(pattern[at]!) - others.reduce((sum, value) => sum + Math.log(value), 0) / others.length;
  expect(Math.abs(ratio - fallback)).toBeLessThan(1e-3);
  return fallback;
}

/** Loadings and what is direct add up to the edges of a graph. */
async function expectEdges(
  replacement: ReplacementModel,
  tokenizer: Parameters<typeof attribute>[1],
  tokens: number[],
): Promise<void> {
  const choice = { kind: 'most_likely', maxLogits: 2, desiredProbability: 1 } as const;
  const random = new Random(7);
  using graph = await attribute(replacement, tokenizer, tokens, {
    targets: choice,
    maxFeatureNodes: 0,
    batchSize: 64,
    updateInterval: 4,
    selection: 'reference',
  });
  using prompt = await TracedPrompt.of(replacement, tokens);
  using targets = await chooseTargets(choice, await prompt.pass.lastLogits(), replacement, tokenizer);
  const n_features = graph.selected.length;
  const n_columns = graph.edges.length / (n_features + 2);
  const chosen = Int32Array.from(
    new Set(Array.from({ length: N_LINKS }, () => random.below(n_features))),
  ).sort();
  const batches = targetBatches(prompt, chosen, targets.vectors, 64);
  const links = Array.from({ length: N_LINKS * 3 }, () => {
    const target = random.below(chosen.length + 2);
    const row = target < chosen.length ? chosen[target]! : n_features + target - chosen.length;
    return {
      target,
      row,
      source: strongest(graph.edges.subarray(row * n_columns, (row + 1) * n_columns), random),
    };
  });
  const sources = Int32Array.from(new Set(links.map(({ source }) => source)));
  const found = await headLoadings(prompt, {
    sources,
    batches,
    links: links.map(({ source, target }) => ({ source: sources.indexOf(source), target })),
    kinds: PATH_KINDS,
  });
  const size = found.n_layers * found.n_heads;
  links.forEach(({ row, source }, link) => {
    const edge = graph.edges[row * n_columns + source]!;
    expect(Math.abs(weightOf(found, link) - edge)).toBeLessThan(5e-5);
    const first = found.first
      .subarray(link * size, (link + 1) * size)
      .reduce((sum, value) => sum + value, found.direct[link]!);
    expect(Math.abs(first - edge)).toBeLessThan(5e-5);
  });
}

/** One of the ten strongest sources of a row. */
function strongest(row: Float32Array, random: Random): number {
  const order = Array.from(row.keys()).sort((a, b) => Math.abs(row[b]!) - Math.abs(row[a]!));
  return order[random.below(10)]!;
}
