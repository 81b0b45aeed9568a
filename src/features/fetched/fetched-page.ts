/** Features, fetched: the page of a feature from the rows that Neuronpedia has of it. */
import { createHash } from 'node:crypto';
import {
  distinctExplanations,
  type ActivationRow,
  type ExplanationRow,
  type FeatureRow,
} from '../../neuronpedia/feature-records.ts';
import type { FeatureExample, FeaturePage, FetchedOrigin } from '../../transcoder/feature-page.ts';
import { chance } from '../chosen-examples.ts';
import { rounded } from '../page.ts';

/** Strongest examples of a page, and others that are drawn from the weaker ones. */
export const EXAMPLES = { strongest: 10, others: 6 } as const;
/** Ends of a histogram and largest activation are rounded separately: they may be so many bins apart. */
const BINS_APART = 1;

/** An example with what it is chosen by. */
export interface RankedExample {
  readonly strength: number;
  /** A number that depends on layer, feature and text alone. */
  readonly draw: number;
  readonly example: FeatureExample;
}

/** Null for a text in which the feature is not active. */
export function rankOf(
  layer: number,
  row: ActivationRow,
): { readonly strength: number; readonly draw: number } | null {
  const strength = row.values[row.position]!;
  if (!(strength > 0)) return null;
  const text = createHash('sha256')
    .update(JSON.stringify([row.tokens, row.position]))
    .digest();
  return { strength, draw: chance(layer, row.index, text.readUInt32LE(0)) };
}

export function exampleOf({ tokens, values, position }: ActivationRow): FeatureExample {
  return { tokens, tokens_acts_list: values.map(rounded), train_token_ind: position };
}

/** @param examples in any order; those that are the same text count once */
export function fetchedPage(
  index: number,
  feature: FeatureRow | null,
  examples: readonly RankedExample[],
  explanations: readonly ExplanationRow[],
  origin: Omit<FetchedOrigin, 'explanations'>,
): FeaturePage {
  const quantiles = chosenExamples(examples);
  const strongest = quantiles[0]?.examples[0];
  const act_max = feature?.max_activation || (strongest?.tokens_acts_list[strongest.train_token_ind] ?? 0);
  return {
    index,
    label: null,
    ...histogramOf(feature, act_max),
    act_max: rounded(act_max),
    activation_frequency: feature?.density ?? 0,
    top_logits: feature?.promotes ?? [],
    bottom_logits: feature?.suppresses ?? [],
    examples_quantiles: quantiles,
    fetched: {
      ...origin,
      explanations: distinctExplanations(explanations).map(({ text, type, model, author, score }) => ({
        text,
        type,
        model,
        author,
        score,
      })),
    },
  };
}

function chosenExamples(ranked: readonly RankedExample[]): FeaturePage['examples_quantiles'] {
  const seen = new Set<string>();
  const isNew = ({ example }: RankedExample): boolean => {
    const text = JSON.stringify([example.tokens, example.train_token_ind]);
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  };
  const byStrength = ranked.filter(isNew).sort((a, b) => b.strength - a.strength || b.draw - a.draw);
  const strongest = byStrength.slice(0, EXAMPLES.strongest);
  const others = byStrength
    .slice(EXAMPLES.strongest)
    .sort((a, b) => b.draw - a.draw)
    .slice(0, EXAMPLES.others)
    .sort((a, b) => b.strength - a.strength || b.draw - a.draw);
  return [
    { quantile_name: 'Top activations', examples: strongest.map(({ example }) => example) },
    { quantile_name: 'Other activations', examples: others.map(({ example }) => example) },
  ].filter(({ examples }) => examples.length > 0);
}

/**
 * Neuronpedia gives the centres of bins; pages divide `act_min` to `act_max` evenly. Left out where its bins are not even, or end
 * elsewhere.
 */
function histogramOf(
  feature: FeatureRow | null,
  act_max: number,
): Pick<FeaturePage, 'histogram' | 'act_min'> {
  const none = { histogram: [], act_min: 0 };
  if (feature === null || feature.heights.length !== feature.centres.length || feature.heights.length < 2)
    return none;
  const { heights, centres } = feature;
  const width = (centres.at(-1)! - centres[0]!) / (centres.length - 1);
  const isEven = centres.every((centre, i) => Math.abs(centre - (centres[0]! + i * width)) <= width / 2);
  const isCount = heights.every((height) => height >= 0);
  const end = centres.at(-1)! + width / 2;
  if (!(width > 0) || !isEven || !isCount || Math.abs(end - act_max) > BINS_APART * width) return none;
  return { histogram: heights, act_min: rounded(Math.max(0, centres[0]! - width / 2)) };
}
