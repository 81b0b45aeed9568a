/** Scores of heads as sums of sources, against the golden data. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import type { WalkChoice } from '../../src/attention/head-parts.ts';
import { scoreParts, type ScoreParts } from '../../src/attention/score-parts.ts';
import { capFactor, contrastTotal, queryScores, type Against } from '../../src/attention/scores.ts';
import { SOURCE_KINDS } from '../../src/attention/source-list.ts';
import { TracedPrompt } from '../../src/attention/traced-prompt.ts';
import { GOLDEN_DEVICES, casesOn, openBackend } from '../support/backends.ts';
import { loadFixture } from '../support/replacement.ts';
import { attentionRuns, type GoldenCase, type RunOfFixture } from './golden.ts';

const N_PAIRS = 50;

describe.each(GOLDEN_DEVICES)('scores as sums of sources on %s', (device) => {
  it.each(casesOn(device, attentionRuns()).map((run) => [run.title, run] as const))(
    'are those of %s, by a walk back and by one forth',
    async (_, golden) => {
      const { fixture, run } = golden;
      await openBackend(device);
      const before = tf.memory().numTensors;
      {
        using loaded = await loadFixture(device, fixture, run.set);
        const { n_layers } = loaded.replacement.model.config;
        using prompt = await TracedPrompt.of(loaded.replacement, run.token_ids, {
          scoresOf: Array.from({ length: n_layers }, (__, layer) => layer),
        });
        const { list } = prompt;
        expect(list.n_sources).toBe(run.n_sources);
        expect(Array.from({ length: list.n_sources }, (__, i) => list.id(i, run.token_ids))).toEqual(
          run.sources,
        );
        for (const kind of SOURCE_KINDS)
          expect(list.start[kind]).toBe(run.first_source[kind] ?? list.start[kind]);
        expect(list.groups('layer').names).toEqual(run.groups.layer);
        expect(list.groups('position').names).toEqual(run.groups.position);
        for (const one of run.cases) {
          for (const walk of ['back', 'forth'] as const) await expectCase(prompt, golden, one, walk);
        }
      }
      expect(tf.memory().numTensors - before).toBe(0);
    },
  );
});

async function expectCase(prompt: TracedPrompt, golden: RunOfFixture, one: GoldenCase, walk: WalkChoice) {
  const { layer, head, query, key, other_key } = one;
  const { expectNumbers, expectStored, stored } = golden;
  const of = await queryScores(prompt, layer, head, query);
  expect([of.visible, of.window]).toEqual([one.visible, one.window]);
  const i = key - of.visible[0];
  expectNumbers(
    `${one.id}: score, capped, pattern`,
    [of.scores[i]!, of.capped[i]!, of.pattern[i]!, capFactor(of, key)],
    [one.score, one.capped, one.pattern, one.cap_factor],
    'scores',
  );
  const againsts: [string, Against][] = [['', null]];
  if (one.contrasts.mean !== null) againsts.push(['against_mean/', 'mean'], ['against_pattern/', 'pattern']);
  if (other_key !== null) againsts.push(['against_key/', other_key]);
  const parts = await scoreParts(
    prompt,
    layer,
    againsts.map(([, against]) => ({ of, key, against })),
    walk,
  );
  for (const [j, [name, against]] of againsts.entries()) {
    const part = parts[j]!;
    part.check();
    if (against !== null) {
      const expected = one.contrasts[typeof against === 'number' ? 'key' : against]!;
      expectNumbers(`${one.id} ${name}`, [contrastTotal(of, key, against)!], [expected], 'scores');
    }
    await expectStored(`cases/${one.id}/${name}query_marginal`, part.queryMarginal, 'marginals and totals');
    await expectStored(`cases/${one.id}/${name}key_marginal`, part.keyMarginal, 'marginals and totals');
    if (typeof against === 'number' || against === 'pattern') continue;
    for (const by of ['layer', 'position'] as const)
      await expectStored(`cases/${one.id}/${name}by_${by}`, part.grouped(prompt.list.groups(by)), 'groups');
    const values = (await stored(`cases/${one.id}/${name}pair_values`)).values;
    const pairs = (await stored(`cases/${one.id}/${name}pairs`)).values;
    await expectPairs(golden, part, `${one.id} ${name}`, pairs, values);
  }
  if (!one.matrix) return;
  const [queries, keys] = [
    (await stored(`cases/${one.id}/query_sources`)).values,
    (await stored(`cases/${one.id}/key_sources`)).values,
  ];
  expect([...prompt.list.reaching(layer, query)]).toEqual([...queries]);
  expect([...prompt.list.reaching(layer, key)]).toEqual([...keys]);
  await expectStored(`cases/${one.id}/matrix`, await parts[0]!.matrix(queries, keys), 'pairs');
}

/** Sizes agree in order, and every pair that is clearly above the last one is there. */
async function expectPairs(
  { expectNumbers }: RunOfFixture,
  part: ScoreParts,
  name: string,
  pairs: ArrayLike<number>,
  values: Float32Array,
) {
  const found = (await part.pairs(N_PAIRS)).slice(0, values.length);
  const sizes = (of: Iterable<number>): number[] => Array.from(of, Math.abs);
  expectNumbers(`${name} pairs`, sizes(found.map(({ value }) => value)), sizes(values), 'pairs');
  const least = Math.abs(values.at(-1) ?? 0) + 2e-4;
  const ids = new Set(found.map(({ query, key }) => `${query}:${key}`));
  const clear = sizes(values).filter((size) => size > least).length;
  for (let i = 0; i < clear; i++) expect(ids).toContain(`${pairs[2 * i]}:${pairs[2 * i + 1]}`);
}
