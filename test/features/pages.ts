/** Pages for tests of where pages come from. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeIndex, writeLayerPages } from '../../src/features/write-pages.ts';
import type { FeaturePage } from '../../src/transcoder/feature-page.ts';
import { scratchFolder } from '../support/scratch.ts';

export function somePage(feature: number): FeaturePage {
  return {
    index: feature,
    label: feature === 1 ? { text: 'the word "t1"', share: 0.9, automatic: true } : null,
    act_min: 0.25,
    act_max: 2 + feature,
    activation_frequency: 0.125,
    histogram: [3, 2, 1],
    top_logits: [' up', ' more'],
    bottom_logits: [' down'],
    examples_quantiles: [
      {
        quantile_name: 'Top activations',
        examples: [{ tokens: ['<bos>', ` t${feature}`], tokens_acts_list: [0, 2], train_token_ind: 1 }],
      },
    ],
  };
}

/** Of the first features of layer 0. */
export const PAGES = [0, 1, 2, 3].map(somePage);

/** Files of a repository with these pages, below a prefix. */
export async function pageFiles(prefix = ''): Promise<Record<string, Buffer>> {
  using scratch = scratchFolder();
  const entry = await writeLayerPages(scratch.path, 0, PAGES);
  await writeIndex(scratch.path, { 0: entry });
  return Object.fromEntries(
    readdirSync(scratch.path).map((name) => [
      `${prefix}features/${name}`,
      readFileSync(join(scratch.path, name)),
    ]),
  );
}
