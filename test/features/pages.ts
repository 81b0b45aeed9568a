/** Pages for tests of where pages come from. */
import type { FeaturePage } from '../../src/transcoder/feature-page.ts';

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
