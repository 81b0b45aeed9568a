/** Features, labels by a language model, step 2: which texts a label is made from, and which other ones it is scored on. */
import { Random } from '../../random.ts';
import type { FeaturePage } from '../../transcoder/feature-page.ts';
import { activeTokens, aroundPeak, type ExampleText, plainText, quietPart } from './texts.ts';

/** Large and odd, so that neighbours get other draws. */
const LAYER_STEP = 1_000_003;

/** What is asked about one feature. No text is both shown and held out. */
export interface FeatureCase {
  readonly layer: number;
  readonly feature: number;
  /** Texts with the feature that the label is made from, as the page orders them. */
  readonly shown: readonly ExampleText[];
  /** Texts without it that are shown as well. */
  readonly shownNegatives: readonly ExampleText[];
  readonly promoted: readonly string[];
  readonly suppressed: readonly string[];
  /** Texts of the score, with the feature and without it, in a fixed random order. */
  readonly heldOut: readonly { readonly text: ExampleText; readonly isPositive: boolean }[];
}

export interface CaseOptions {
  /** Texts with the feature that are shown, at most. */
  readonly examples: number;
  /** Texts with the feature, and as many without it, that the score is made from, at most. */
  readonly heldOut: number;
}

/** Negatives that are shown for each three examples. */
const NEGATIVE_SHARE = 1 / 3;

/**
 * Every second example of each part of the range of activations is held out. A negative is a stretch of an example in which the feature
 * is nowhere active, or a text of another feature of the layer (`others`) without any token at which this one was seen active.
 * Null where the page has no example to show.
 */
export function featureCase(
  layer: number,
  feature: number,
  page: FeaturePage,
  others: readonly ExampleText[],
  options: CaseOptions,
): FeatureCase | null {
  const random = new Random(layer * LAYER_STEP + feature);
  const seen = new Set<string>();
  const shown: ExampleText[] = [];
  const held: ExampleText[] = [];
  const quietShown: ExampleText[] = [];
  const quietHeld: ExampleText[] = [];
  for (const { examples } of page.examples_quantiles) {
    let n = 0;
    for (const example of examples) {
      const text = aroundPeak(example);
      if (text.tokens.length === 0 || isKnown(text, seen)) continue;
      const [positives, quiet] = n++ % 2 === 0 ? [shown, quietShown] : [held, quietHeld];
      positives.push(text);
      const part = quietPart(example);
      if (part !== null && !isKnown(part, seen)) quiet.push(part);
    }
  }
  if (shown.length === 0) return null;
  const active = activeTokens([...shown, ...held]);
  const clean = random.shuffled(
    others.filter((text) => !text.tokens.some((token) => active.has(token.trim())) && !isKnown(text, seen)),
  );
  const positives = spread(held, options.heldOut);
  // Half of them from the feature's own texts, where it is known to be inactive.
  const own = quietHeld.slice(0, Math.ceil(positives.length / 2));
  const foreign = clean.splice(0, positives.length - own.length);
  const examples = spread(shown, options.examples);
  const nShown = Math.ceil(examples.length * NEGATIVE_SHARE);
  const quiet = quietShown.slice(0, Math.ceil(nShown / 2));
  return {
    layer,
    feature,
    shown: examples,
    shownNegatives: [...quiet, ...clean.slice(0, nShown - quiet.length)],
    promoted: page.top_logits,
    suppressed: page.bottom_logits,
    heldOut: random.shuffled([
      ...positives.map((text) => ({ text, isPositive: true })),
      ...[...own, ...foreign].map((text) => ({ text, isPositive: false })),
    ]),
  };
}

/** Whether a text was taken already; from now on it was. */
function isKnown(text: ExampleText, seen: Set<string>): boolean {
  const plain = plainText(text);
  if (seen.has(plain)) return true;
  seen.add(plain);
  return false;
}

/** At most so many, evenly over the list, the first among them. */
function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)]!);
}
