/** Pages that were fetched: their files, their examples, and their place among other pages. */
import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FetchedFeatures, layerPath } from '../../src/features/fetched/fetched-features.ts';
import {
  exampleOf,
  fetchedPage,
  rankOf,
  type RankedExample,
} from '../../src/features/fetched/fetched-page.ts';
import { FetchedState } from '../../src/features/fetched/fetched-state.ts';
import { mergeLayer, type NewPage } from '../../src/features/fetched/merge-layer.ts';
import {
  activationRow,
  explanationRow,
  featureRow,
  type Checked,
} from '../../src/neuronpedia/feature-records.ts';
import { parsePage, type FeaturePage } from '../../src/transcoder/feature-page.ts';
import { activationRowsOf, explanationRowOf, featureRowOf } from '../support/neuronpedia-exports.ts';
import { scratchFolder } from '../support/scratch.ts';

const ORIGIN = { site: 'neuronpedia', source: 'some-model/1-x', date: '2026-11-30', note: null } as const;

function rowOf<T>(checked: Checked<T>): T {
  if ('row' in checked) return checked.row;
  throw new Error(checked.fault);
}

function ranked(rows: readonly Record<string, unknown>[]): RankedExample[] {
  return rows.flatMap((one) => {
    const row = rowOf(activationRow(one));
    const rank = rankOf(1, row);
    return rank === null ? [] : [{ ...rank, example: exampleOf(row) }];
  });
}

function pageOf(feature: number, n_examples = 20): FeaturePage {
  return fetchedPage(
    feature,
    rowOf(featureRow(featureRowOf(1, feature))),
    ranked(activationRowsOf(1, feature, n_examples)),
    [rowOf(explanationRow(explanationRowOf(1, feature)))],
    ORIGIN,
  );
}

async function* newPages(features: readonly number[], n_examples = 20): AsyncGenerator<NewPage> {
  for (const feature of features) {
    await Promise.resolve();
    yield { feature, page: pageOf(feature, n_examples) };
  }
}

describe('a page from rows', () => {
  it('has the strongest texts, others from the rest, and what it was made from', () => {
    const page = pageOf(5, 30);
    expect(page).toMatchObject({
      index: 5,
      label: null,
      act_max: 13,
      act_min: 0,
      activation_frequency: 0.0125,
      histogram: [40, 20, 10, 5],
      top_logits: [' Texas', ' Austin'],
      fetched: { ...ORIGIN, explanations: [{ text: 'words of text 5', model: 'gpt-4o-mini', author: null }] },
    });
    const [top, others] = page.examples_quantiles;
    expect(top!.quantile_name).toBe('Top activations');
    expect(top!.examples.map(({ tokens }) => tokens[1])).toEqual(
      Array.from({ length: 10 }, (_, i) => ` word${i}`),
    );
    expect(top!.examples[2]).toEqual({
      tokens: ['<bos>', ' word2', ' of', ' text5'],
      tokens_acts_list: [0, 4.333, 0.125, 0],
      train_token_ind: 1,
    });
    expect(others!.examples).toHaveLength(6);
    const strengths = others!.examples.map(({ tokens_acts_list }) => tokens_acts_list[1]!);
    expect(strengths).toEqual([...strengths].sort((a, b) => b - a));
    expect(parsePage(JSON.parse(JSON.stringify(page)), 'page')).toEqual(page);
  });

  it('is the same in whatever order the texts come, and counts none twice', () => {
    const rows = activationRowsOf(1, 5, 30);
    const page = fetchedPage(5, null, ranked([...rows].reverse().concat(rows)), [], ORIGIN);
    expect(page.examples_quantiles).toEqual(pageOf(5, 30).examples_quantiles);
  });

  it('leaves out texts in which it is not active, and bins that are not even or end elsewhere', () => {
    const silent = { index: 5, tokens: ['a'], values: [0] };
    const row = rowOf(featureRow(featureRowOf(1, 5)));
    const page = fetchedPage(5, { ...row, centres: [1, 2, 4, 13] }, ranked([silent]), [], ORIGIN);
    expect(page).toMatchObject({ histogram: [], act_min: 0, act_max: 13, examples_quantiles: [] });
    const other = fetchedPage(5, { ...row, max_activation: 99 }, [], [], ORIGIN);
    expect(other.histogram).toEqual([]);
    expect(fetchedPage(5, null, [], [], ORIGIN)).toMatchObject({ act_max: 0, activation_frequency: 0 });
  });
});

describe('the file of a layer', () => {
  it('gives pages and labels of the features that it has', async () => {
    using scratch = scratchFolder();
    const fetched = FetchedFeatures.of('some/set', scratch.path);
    expect(await fetched.page(1, 2)).toBeNull();
    expect(await fetched.labels([[1, 2]])).toEqual(new Map());
    const counts = await mergeLayer(fetched.name, newPages([2, 70_000]), { layer: 1, replaces: false });
    expect(counts).toEqual({ n_pages: 2, n_labels: 2, n_new: 2 });
    expect(await fetched.page(1, 70_000)).toEqual(pageOf(70_000));
    expect(await fetched.page(1, 3)).toBeNull();
    expect(await fetched.page(0, 2)).toBeNull();
    expect(await fetched.label(1, 2)).toEqual({
      text: 'words of text 2',
      type: 'oai_token-act-pair',
      model: 'gpt-4o-mini',
      author: null,
      score: null,
      date: '2026-11-30',
    });
    const labels = await fetched.labels([
      [1, 2],
      [1, 2],
      [1, 3],
      [0, 2],
      [1, 70_000],
    ]);
    expect([...labels.keys()]).toEqual(['1_2', '1_70000']);
  });

  it('takes new pages in, and the later ones only where they are to replace', async () => {
    using scratch = scratchFolder();
    const fetched = FetchedFeatures.of('set', scratch.path);
    const merge = (features: readonly number[], n: number, replaces: boolean) =>
      mergeLayer(fetched.name, newPages(features, n), { layer: 1, replaces });
    await merge([3, 5], 4, false);
    expect(await merge([1, 3, 9], 8, false)).toEqual({ n_pages: 4, n_labels: 4, n_new: 2 });
    expect(await fetched.page(1, 3)).toEqual(pageOf(3, 4));
    expect(await fetched.page(1, 9)).toEqual(pageOf(9, 8));
    expect(await merge([3], 2, true)).toEqual({ n_pages: 4, n_labels: 4, n_new: 1 });
    expect(await fetched.page(1, 3)).toEqual(pageOf(3, 2));
    expect(await fetched.page(1, 5)).toEqual(pageOf(5, 4));
    // The same bytes in whatever steps they came.
    const other = FetchedFeatures.of('other', scratch.path);
    await mergeLayer(other.name, newPages([1, 9], 8), { layer: 1, replaces: false });
    await mergeLayer(other.name, newPages([5], 4), { layer: 1, replaces: false });
    await mergeLayer(other.name, newPages([3], 2), { layer: 1, replaces: false });
    const bytes = [fetched, other].map(({ name }) => readFileSync(layerPath(name, 1)));
    expect(bytes[0]!.equals(bytes[1]!)).toBe(true);
    expect(readdirSync(fetched.name)).toEqual(['layer_1.bin']);
  });

  it('stays as it was when writing fails', async () => {
    using scratch = scratchFolder();
    const fetched = FetchedFeatures.of('set', scratch.path);
    await mergeLayer(fetched.name, newPages([3]), { layer: 1, replaces: false });
    const before = readFileSync(layerPath(fetched.name, 1));
    async function* failing(): AsyncGenerator<NewPage> {
      yield* newPages([4]);
      throw new Error('no more');
    }
    await expect(mergeLayer(fetched.name, failing(), { layer: 1, replaces: false })).rejects.toThrow(
      'no more',
    );
    expect(readFileSync(layerPath(fetched.name, 1)).equals(before)).toBe(true);
    expect(readdirSync(fetched.name)).toEqual(['layer_1.bin']);
  });

  it('that is damaged anywhere at its end is refused by its name, never read as something else', async () => {
    using scratch = scratchFolder();
    const fetched = FetchedFeatures.of('set', scratch.path);
    await mergeLayer(fetched.name, newPages([3, 5, 8]), { layer: 1, replaces: false });
    const path = layerPath(fetched.name, 1);
    const whole = readFileSync(path);
    const table = 3 * 20 + 20;
    for (let at = whole.length - table; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0xff;
      writeFileSync(path, damaged);
      const reading = FetchedFeatures.of('set', scratch.path).page(1, 5);
      // A wrong number of a feature may leave the order as it is: then that one is not found.
      const outcome = await reading.catch((error: unknown) => error);
      if (outcome === null) continue;
      if (outcome instanceof Error)
        expect(outcome).toMatchObject({
          exitCode: 4,
          message: expect.stringContaining(path) as unknown as string,
        });
      else expect(outcome).toEqual(pageOf(5));
    }
    for (const length of [0, 5, 20, whole.length - 1, whole.length - 30]) {
      writeFileSync(path, whole.subarray(0, length));
      await expect(FetchedFeatures.of('set', scratch.path).page(1, 5)).rejects.toMatchObject({ exitCode: 4 });
    }
  });

  it('is read again when another takes its place', async () => {
    using scratch = scratchFolder();
    const fetched = FetchedFeatures.of('set', scratch.path);
    await mergeLayer(fetched.name, newPages([5]), { layer: 1, replaces: false });
    expect(await fetched.page(1, 4)).toBeNull();
    await mergeLayer(fetched.name, newPages([4], 3), { layer: 1, replaces: false });
    expect(await fetched.page(1, 4)).toEqual(pageOf(4, 3));
    expect(await fetched.page(1, 5)).toEqual(pageOf(5));
  });
});

describe('what is remembered of a set', () => {
  it('is read back, and another source is refused', async () => {
    using scratch = scratchFolder();
    const state = await FetchedState.open(scratch.path, 'set', 'm/{layer}-x');
    state.setUnknown(3, 9, true);
    state.setUnknown(3, 2, true);
    state.setUnknown(3, 9, false);
    state.setExports(4, { date: '2026-11-30', n_files: 6, n_features: 10, n_faults: 0 });
    await state.save();
    const again = await FetchedState.open(scratch.path, 'set', 'm/{layer}-x');
    expect([again.isUnknown(3, 2), again.isUnknown(3, 9), again.isUnknown(0, 2)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(again.exportsOf(4)).toMatchObject({ n_features: 10 });
    expect((await FetchedState.open(scratch.path, 'set', 'm/{layer}-y')).exportsOf(4)).toBeUndefined();
    writeFileSync(join(scratch.path, 'layer_4.bin'), '');
    await expect(FetchedState.open(scratch.path, 'set', 'm/{layer}-y')).rejects.toMatchObject({
      code: 'other_source',
      exitCode: 2,
    });
    writeFileSync(join(scratch.path, 'fetched.json'), '{"format":"x"}');
    await expect(FetchedState.open(scratch.path, 'set', 'm/{layer}-x')).rejects.toMatchObject({
      exitCode: 4,
    });
  });
});
