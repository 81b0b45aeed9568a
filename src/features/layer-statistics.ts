/** Features, building: statistics of the features of one layer while a corpus is read. All arrays have a fixed size. */
import type { LayerFeatures } from '../transcoder/activations/activation.ts';
import { chance, ChosenExamples } from './chosen-examples.ts';
import { HISTOGRAM_BINS, Histograms } from './histogram.ts';
import type { Spool } from './spool.ts';

/** Windows of the sample of each feature, from which the median and the weakest are taken. */
export const SAMPLE_SIZE = 16;

/** A window of text that is run through the layers. */
export interface Window {
  /** Its number in the corpus, from 0. */
  readonly number: number;
  /** Offset of its tokens in the spool: they are written when the first feature needs them. */
  offset(): Promise<number>;
}

export class LayerStatistics {
  readonly layer: number;
  readonly n_features: number;
  /** Tokens at which a feature is active, [n_features]. */
  readonly counts: Float64Array;
  readonly smallest: Float32Array;
  readonly largest: Float32Array;
  readonly histograms: Histograms;
  readonly strongest: ChosenExamples;
  readonly sample: ChosenExamples;
  /** The first event of each feature in the window at hand; -1: none. */
  readonly #firstEvent: Int32Array;

  constructor(layer: number, n_features: number, n_examples: number) {
    this.layer = layer;
    this.n_features = n_features;
    this.counts = new Float64Array(n_features);
    this.smallest = new Float32Array(n_features);
    this.largest = new Float32Array(n_features);
    this.histograms = new Histograms(n_features);
    this.strongest = new ChosenExamples(n_features, n_examples, 'strength');
    this.sample = new ChosenExamples(n_features, SAMPLE_SIZE, 'chance');
    this.#firstEvent = new Int32Array(n_features).fill(-1);
  }

  /** Bytes held for each feature, whatever the length of the corpus. */
  static bytesPerFeature(n_examples: number): number {
    const numbers = 8 + 4 + 4 + 4; // count, smallest, largest, first event
    const histogram = 4 * HISTOGRAM_BINS + 4;
    return (
      numbers +
      histogram +
      ChosenExamples.bytesPerFeature(n_examples, 'strength') +
      ChosenExamples.bytesPerFeature(SAMPLE_SIZE, 'chance')
    );
  }

  /** Adds the active features of one window. */
  async add(features: LayerFeatures, window: Window, spool: Spool): Promise<void> {
    const { next, touched } = this.#countEvents(features);
    for (const feature of touched) {
      const events: number[] = [];
      for (let i = this.#firstEvent[feature]!; i >= 0; i = next[i]!) events.push(i);
      this.#firstEvent[feature] = -1;
      await this.#choose(feature, events, features, window, spool);
    }
  }

  /** Counts, and chains the events of each feature by position. */
  #countEvents({ features, values }: LayerFeatures): { next: Int32Array; touched: number[] } {
    const next = new Int32Array(values.length);
    const touched: number[] = [];
    for (let i = values.length - 1; i >= 0; i--) {
      const [feature, value] = [features[i]!, values[i]!];
      if (this.#firstEvent[feature] === -1) touched.push(feature);
      next[i] = this.#firstEvent[feature]!;
      this.#firstEvent[feature] = i;
      const isFirst = this.counts[feature]!++ === 0;
      if (isFirst || value < this.smallest[feature]!) this.smallest[feature] = value;
      if (isFirst || value > this.largest[feature]!) this.largest[feature] = value;
      this.histograms.add(feature, value);
    }
    return { next, touched: touched.sort((a, b) => a - b) };
  }

  /** One example a window: where the feature is strongest in it, the first of equals. */
  async #choose(
    feature: number,
    events: readonly number[],
    { positions, values }: LayerFeatures,
    window: Window,
    spool: Spool,
  ): Promise<void> {
    const best = events.reduce((a, b) => (values[b]! > values[a]! ? b : a));
    const strength = values[best]!;
    const luck = chance(this.layer, feature, window.number);
    const isStrong = this.strongest.takes(feature, strength);
    const isDrawn = this.sample.takes(feature, luck);
    if (!isStrong && !isDrawn) return;
    const offset = await spool.appendExample({
      window: await window.offset(),
      position: positions[best]!,
      positions: events.map((i) => positions[i]!),
      values: events.map((i) => values[i]!),
    });
    if (isStrong) this.strongest.add(feature, strength, strength, offset);
    if (isDrawn) this.sample.add(feature, luck, strength, offset);
  }
}
