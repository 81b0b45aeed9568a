/** Features, labels by a language model, step 5: the score of a label, by detection as in Delphi (Paulo et al., 2024). */
import type { ModelLabel } from '../model-labels.ts';
import type { FeatureCase } from './feature-case.ts';

export type DetectionScore = Pick<
  ModelLabel,
  'score' | 'n_positive' | 'n_negative' | 'n_true_positive' | 'n_true_negative'
>;

/** Whether there are texts of both kinds. */
export function canBeScored({ heldOut }: FeatureCase): boolean {
  return heldOut.some(({ isPositive }) => isPositive) && heldOut.some(({ isPositive }) => !isPositive);
}

/**
 * Balanced accuracy: the mean of the shares of texts with and without the feature that were recognised, so that neither kind counts
 * more. @param marks for each held-out text, whether the label fits it; null where it was not asked
 */
export function detectionScore({ heldOut }: FeatureCase, marks: readonly boolean[] | null): DetectionScore {
  if (marks === null) {
    return { score: null, n_positive: 0, n_negative: 0, n_true_positive: 0, n_true_negative: 0 };
  }
  const n_positive = heldOut.filter(({ isPositive }) => isPositive).length;
  const n_true_positive = heldOut.filter(({ isPositive }, i) => isPositive && marks[i]).length;
  const n_negative = heldOut.length - n_positive;
  const n_true_negative = heldOut.filter(({ isPositive }, i) => !isPositive && !marks[i]).length;
  const score = (n_true_positive / n_positive + n_true_negative / n_negative) / 2;
  return { score, n_positive, n_negative, n_true_positive, n_true_negative };
}
