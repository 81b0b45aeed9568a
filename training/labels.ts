/**
 * Labels of features, computed by stated rules. Every activation is described in several ways, from the most specific to the
 * most general; the label is the most specific description that covers enough of a feature's activation. Where none does, the
 * feature is called mixed, by the few descriptions that cover most of it together. The share that is shown with a label is
 * measured on other sentences than those it was chosen on.
 */
import type { FeatureActivity } from '../src/training/feature-activity.ts';
import type { FeatureLabel } from '../src/transcoder/feature-page.ts';
import { rank, type Describe } from './descriptions.ts';

/** Share of the activation that a description has to cover, where it is chosen and where it is checked. */
const CHOSEN_SHARE = 0.75;
const CHECKED_SHARE = 0.6;
/** A feature with fewer activations gets no label. */
const FEWEST_EVENTS = 5;
/** A mixed feature has so many descriptions at most, each of which adds this share. */
const MIXED_DESCRIPTIONS = 3;
const MIXED_SHARE = 0.1;
/** Of descriptions that add nearly as much as the best one, the most specific is taken. */
const NEARLY = 0.9;

interface Described {
  readonly activity: FeatureActivity;
  readonly describe: Describe;
}

/**
 * The label of a feature; null for one that is hardly ever active.
 * @param chosen activity on the sentences that the label is made from
 * @param checked activity on others
 */
export function labelOf(chosen: Described, checked: Described): FeatureLabel | null {
  if (Math.min(chosen.activity.values.length, checked.activity.values.length) < FEWEST_EVENTS) return null;
  const found = shares(chosen.activity, chosen.describe);
  const confirmed = shares(checked.activity, checked.describe);
  // Descriptions were added in the order of the activations; more specific ones come first within each.
  const order = [...found.keys()].sort((a, b) => rank(a) - rank(b) || found.get(b)! - found.get(a)!);
  const text = order.find(
    (one) => found.get(one)! >= CHOSEN_SHARE && (confirmed.get(one) ?? 0) >= CHECKED_SHARE,
  );
  if (text !== undefined) return { text, share: rounded(confirmed.get(text)!), automatic: true };
  const parts = mixedDescriptions(chosen);
  return {
    text: `mixed: ${parts.map((part) => part.replace(/^the word /, '')).join('; ')}`,
    share: rounded(coveredShare(checked, parts)),
    automatic: true,
  };
}

/** A few descriptions that together cover most, each the best for what the ones before it leave. */
function mixedDescriptions({ activity, describe }: Described): string[] {
  let left = activity;
  const parts: string[] = [];
  const total = sum(activity.values);
  while (parts.length < MIXED_DESCRIPTIONS && left.values.length > 0) {
    const share = sum(left.values) / total;
    const found = [...shares(left, describe)].sort((a, b) => b[1] - a[1]);
    const most = found[0]![1];
    if (parts.length > 0 && most * share < MIXED_SHARE) break;
    const near = found.filter(([, value]) => value >= NEARLY * most).sort((a, b) => rank(a[0]) - rank(b[0]));
    const part = near[0]![0];
    parts.push(part);
    left = where(left, (row, position) => !describe(row, position).includes(part));
  }
  return parts;
}

/** What share of the activation at least one of the descriptions covers. */
function coveredShare({ activity, describe }: Described, parts: readonly string[]): number {
  const covered = where(activity, (row, position) =>
    describe(row, position).some((one) => parts.includes(one)),
  );
  return sum(covered.values) / sum(activity.values);
}

/** What share of the activation each description covers. */
function shares({ rows, positions, values }: FeatureActivity, describe: Describe): Map<string, number> {
  const mass = new Map<string, number>();
  let total = 0;
  for (const [i, value] of values.entries()) {
    total += value;
    for (const description of new Set(describe(rows[i]!, positions[i]!)))
      mass.set(description, (mass.get(description) ?? 0) + value);
  }
  for (const [description, sum] of mass) mass.set(description, sum / total);
  return mass;
}

function where(
  { rows, positions, values }: FeatureActivity,
  wanted: (row: number, position: number) => boolean,
): FeatureActivity {
  const places = [...values.keys()].filter((i) => wanted(rows[i]!, positions[i]!));
  const at = (list: readonly number[]): number[] => places.map((i) => list[i]!);
  return { rows: at(rows), positions: at(positions), values: at(values) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

const DECIMALS = 100;

function rounded(share: number): number {
  return Math.round(share * DECIMALS) / DECIMALS;
}
