import { describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BadFileError } from '../../src/errors.ts';
import { readFeaturePage } from '../../src/transcoder/feature-page.ts';
import { featurePage, writeFeaturePages } from '../../src/training/feature-pages.ts';
import { folder } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';

const rows = [
  [0, 1, 2],
  [0, 2, 2, 3],
];
const sources = {
  rows,
  tokenStrings: (ids: readonly number[]) => ids.map((id) => `t${id}`),
  effects: Float32Array.of(0.5, -1, 2, 0),
  label: { text: 'the word "t2"', share: 0.9, automatic: true as const },
};
/** Active at the last token of the first row, and at two of the second. */
const activity = { rows: [0, 1, 1], positions: [2, 1, 2], values: [1, 3, 2] };
const silent = { rows: [], positions: [], values: [] };

describe('a feature page', () => {
  it('has the strongest place of each row first, and how often and how strongly the feature is active', () => {
    const page = featurePage(7, activity, sources);
    expect(page).toMatchObject({ index: 7, act_min: 1, act_max: 3, activation_frequency: 3 / 5 });
    expect(page.histogram.reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(page.top_logits.slice(0, 2)).toEqual(['t2', 't0']);
    expect(page.bottom_logits[0]).toBe('t1');
    const [top] = page.examples_quantiles;
    expect(top!.examples).toEqual([
      { tokens: ['t0', 't2', 't2', 't3'], tokens_acts_list: [0, 3, 2, 0], train_token_ind: 1 },
      { tokens: ['t0', 't1', 't2'], tokens_acts_list: [0, 0, 1], train_token_ind: 2 },
    ]);
  });

  it('is found again in the files, each by itself', async () => {
    using scratch = scratchFolder();
    const pages = [activity, silent].map((one, feature) => featurePage(feature, one, sources));
    await writeFeaturePages(join(scratch.path, 'features'), [pages, [...pages].reverse()]);
    const files = folder(scratch.path);
    expect(await readFeaturePage(files, 0, 1)).toEqual(pages[1]);
    expect(await readFeaturePage(files, 1, 1)).toEqual(pages[0]);
    expect(await readFeaturePage(files, 0, 2)).toBeNull();
    expect(await readFeaturePage(files, 2, 0)).toBeNull();
  });

  it('is none in a set without pages', async () => {
    using scratch = scratchFolder();
    expect(await readFeaturePage(folder(scratch.path), 0, 0)).toBeNull();
  });

  it('is refused when it is damaged, naming the file', async () => {
    using scratch = scratchFolder();
    await writeFeaturePages(join(scratch.path, 'features'), [[featurePage(0, activity, sources)]]);
    const path = join(scratch.path, 'features', 'layer_0.bin');
    const bytes = readFileSync(path);
    bytes.fill(0xff, 4, 40);
    writeFileSync(path, bytes);
    const reading = readFeaturePage(folder(scratch.path), 0, 0);
    await expect(reading).rejects.toThrow(BadFileError);
    await expect(reading).rejects.toThrow('layer_0.bin');
    bytes.fill(0xff, 0, 4); // a length beyond the page
    writeFileSync(path, bytes);
    await expect(readFeaturePage(folder(scratch.path), 0, 0)).rejects.toThrow('cut short');
  });
});
