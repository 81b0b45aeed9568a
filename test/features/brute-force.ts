/** Pages of features computed the plain way: everything is held, and sorted when it is needed. */
import type { Session } from '../../src/engine/session.ts';
import { chance } from '../../src/features/chosen-examples.ts';
import { SAMPLE_SIZE } from '../../src/features/layer-statistics.ts';
import type { FeatureExample, FeaturePage } from '../../src/transcoder/feature-page.ts';

interface Event {
  readonly window: number;
  readonly position: number;
  readonly value: number;
}

export interface BruteForceOptions {
  readonly context: number;
  readonly n_examples: number;
}

type Page = Omit<FeaturePage, 'top_logits' | 'bottom_logits' | 'label'>;

/** Pages [layer][feature], without what comes from decoders alone. */
export async function brutePages(
  { replacement, tokenizer }: Session,
  documents: readonly string[],
  { context, n_examples }: BruteForceOptions,
): Promise<Page[][]> {
  const windows: number[][] = [];
  for (const text of documents) {
    const ids = tokenizer.encode(text);
    for (let i = 0; i < ids.length; i += context - 1) {
      windows.push([tokenizer.bosId, ...ids.slice(i, i + context - 1)]);
    }
  }
  const n_tokens = windows.reduce((sum, window) => sum + window.length - 1, 0);
  const events = new Map<string, Event[]>();
  for (const [window, tokens] of windows.entries()) {
    const run = await replacement.run(tokens, { firstPosition: 1 });
    run.forward[Symbol.dispose]();
    run.features.values.forEach((value, i) => {
      const [layer, position, feature] = run.features.indices.subarray(3 * i, 3 * i + 3);
      const key = `${layer!}_${feature!}`;
      if (!events.has(key)) events.set(key, []);
      events.get(key)!.push({ window, position: position!, value });
    });
  }
  const page = (layer: number, feature: number): Page => {
    const all = events.get(`${layer}_${feature}`) ?? [];
    const values = all.map(({ value }) => value);
    const best = [...new Set(all.map(({ window }) => window))].map((window) =>
      all.filter((event) => event.window === window).reduce((a, b) => (b.value > a.value ? b : a)),
    );
    const byStrength = (list: readonly Event[]): Event[] =>
      [...list].sort((a, b) => b.value - a.value || a.window - b.window);
    const sample = byStrength(
      [...best]
        .sort((a, b) => chance(layer, feature, b.window) - chance(layer, feature, a.window))
        .slice(0, SAMPLE_SIZE),
    );
    const middle = Math.round(Math.max(0, sample.length - 2) / 2);
    const used = new Set<number>();
    const take = (chosen: readonly Event[]): FeatureExample[] =>
      chosen
        .filter(({ window }) => !used.has(window) && used.add(window))
        .map(({ window, position }) => {
          const tokens = windows[window]!;
          const acts = tokens.map(
            (_, i) => all.find((e) => e.window === window && e.position === i)?.value ?? 0,
          );
          return {
            tokens: tokenizer.tokenStrings(tokens),
            tokens_acts_list: acts.map(shortened),
            train_token_ind: position,
          };
        });
    return {
      index: feature,
      act_min: values.length === 0 ? 0 : shortened(Math.min(...values)),
      act_max: values.length === 0 ? 0 : shortened(Math.max(...values)),
      activation_frequency: values.length / n_tokens,
      ...bruteHistogram(values),
      examples_quantiles: [
        { quantile_name: 'Top activations', examples: take(byStrength(best).slice(0, n_examples)) },
        { quantile_name: 'Around the median', examples: take(sample.slice(middle, middle + 2)) },
        { quantile_name: 'Weakest', examples: take(sample.slice(-2)) },
      ].filter(({ examples }) => examples.length > 0),
    };
  };
  return Array.from({ length: replacement.model.config.n_layers }, (_, layer) =>
    Array.from({ length: replacement.transcoders.featureCounts[layer]! }, (_, feature) =>
      page(layer, feature),
    ),
  );
}

/** Bins from 0 on, the narrowest power of two wide with which there are at most 20. */
export function bruteHistogram(
  values: readonly number[],
): Pick<FeaturePage, 'histogram' | 'histogram_bin_width'> {
  if (values.length === 0) return { histogram: [] };
  const largest = Math.max(...values);
  let width = 2 ** 40;
  while (largest > 0 && largest / (width / 2) < 20 && width > 2 ** -149) width /= 2;
  const counts = new Array<number>(largest > 0 ? Math.floor(largest / width) + 1 : 1).fill(0);
  for (const value of values) counts[value > 0 ? Math.floor(value / width) : 0]!++;
  return { histogram: counts, ...(largest > 0 && { histogram_bin_width: width }) };
}

function shortened(value: number): number {
  return Number(value.toPrecision(4));
}
