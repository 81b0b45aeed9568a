/** Features, building: the page of one feature, from its statistics. */
import type { FeatureExample, FeatureLabel, FeaturePage } from '../transcoder/feature-page.ts';
import type { LayerStatistics } from './layer-statistics.ts';
import type { Spool, SpooledExample } from './spool.ts';

/** Parts of the range of activations, as shares of the sample by falling strength; each has so many examples. */
const QUANTILES: readonly (readonly [name: string, share: number])[] = [
  ['Around the median', 0.5],
  ['Weakest', 1],
];
const QUANTILE_EXAMPLES = 2;

export interface PageParts {
  readonly spool: Spool;
  /** Tokens of the corpus at which a feature could be active. */
  readonly n_tokens: number;
  readonly tokenStrings: (ids: ArrayLike<number>) => readonly string[];
  /** Tokens that the feature promotes and suppresses, strongest first. */
  readonly top_logits: readonly string[];
  readonly bottom_logits: readonly string[];
  readonly label: FeatureLabel | null;
}

export async function featurePage(
  statistics: LayerStatistics,
  feature: number,
  { spool, n_tokens, tokenStrings, top_logits, bottom_logits, label }: PageParts,
): Promise<FeaturePage> {
  const largest = statistics.largest[feature]!;
  const count = statistics.counts[feature]!;
  const used = new Set<number>();
  const take = async (offsets: readonly number[]): Promise<FeatureExample[]> => {
    const examples: FeatureExample[] = [];
    for (const offset of offsets) {
      const found = await spool.readExample(offset);
      if (used.has(found.window)) continue;
      used.add(found.window);
      examples.push(example(found, tokenStrings));
    }
    return examples;
  };
  const strongest = statistics.strongest.of(feature).map(({ offset }) => offset);
  const quantiles = [{ quantile_name: 'Top activations', examples: await take(strongest) }];
  const sample = statistics.sample
    .of(feature)
    .sort((a, b) => b.strength - a.strength || a.offset - b.offset)
    .map(({ offset }) => offset);
  for (const [quantile_name, part] of QUANTILES) {
    const start = Math.round(part * Math.max(0, sample.length - QUANTILE_EXAMPLES));
    quantiles.push({ quantile_name, examples: await take(sample.slice(start, start + QUANTILE_EXAMPLES)) });
  }
  return {
    index: feature,
    label,
    act_min: rounded(statistics.smallest[feature]!),
    act_max: rounded(largest),
    activation_frequency: n_tokens === 0 ? 0 : count / n_tokens,
    histogram: count === 0 ? [] : statistics.histograms.of(feature, largest),
    ...(largest > 0 && { histogram_bin_width: statistics.histograms.binWidth(feature) }),
    top_logits,
    bottom_logits,
    examples_quantiles: quantiles.filter(({ examples }) => examples.length > 0),
  };
}

function example(
  { tokens, position, positions, values }: SpooledExample,
  tokenStrings: PageParts['tokenStrings'],
): FeatureExample {
  const acts = new Array<number>(tokens.length).fill(0);
  for (const [i, at] of positions.entries()) acts[at] = rounded(values[i]!);
  return { tokens: tokenStrings(tokens), tokens_acts_list: acts, train_token_ind: position };
}

/** Digits of an activation that are kept: more are not significant and double the size of pages. */
const SIGNIFICANT_DIGITS = 4;

/** An activation as pages have it. */
export function rounded(value: number): number {
  return Number(value.toPrecision(SIGNIFICANT_DIGITS));
}
