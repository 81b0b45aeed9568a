/** Features, labels by a language model: texts of a layer's other features, which serve as texts without a feature. */
import { Random } from '../../random.ts';
import type { FeaturePage } from '../../transcoder/feature-page.ts';
import { aroundPeak, type ExampleText } from './texts.ts';

/** Texts of a layer, and pages that are looked at for them at most. */
const POOL_TEXTS = 48;
const MOST_PAGES = 96;

export class NegativePool {
  readonly #page: (layer: number, feature: number) => Promise<FeaturePage | null>;
  readonly #counts: readonly number[];
  readonly #pools = new Map<number, Promise<ExampleText[]>>();

  /** @param counts features of each layer */
  constructor(
    page: (layer: number, feature: number) => Promise<FeaturePage | null>,
    counts: readonly number[],
  ) {
    this.#page = page;
    this.#counts = counts;
  }

  /** The same texts in every run, drawn by the number of the layer. */
  of(layer: number): Promise<readonly ExampleText[]> {
    const known = this.#pools.get(layer) ?? this.#draw(layer);
    this.#pools.set(layer, known);
    return known;
  }

  async #draw(layer: number): Promise<ExampleText[]> {
    const random = new Random(layer);
    const count = this.#counts[layer]!;
    const texts: ExampleText[] = [];
    for (let i = 0; i < MOST_PAGES && texts.length < POOL_TEXTS; i++) {
      const page = await this.#page(layer, random.below(count));
      const examples = page?.examples_quantiles.flatMap((part) => part.examples) ?? [];
      if (examples.length === 0) continue;
      const text = aroundPeak(random.pick(examples));
      if (text.tokens.length > 0) texts.push(text);
    }
    return texts;
  }
}
