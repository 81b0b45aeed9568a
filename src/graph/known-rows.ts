/** Graph, while it is being made: the rows computed so far, and which features are worth computing next. */

import { UsageError } from '../errors.ts';

/** As in `influence.ts`, but larger: the reference uses another floor while it ranks. */
const SMALLEST_ROW_SUM = 1e-8;

export interface KnownRowsOptions {
  /** Active features: the first columns, sorted by layer, position and feature. */
  readonly n_active: number;
  /** `n_active + n_layers·n_pos + n_pos`: all sources, nothing left out. */
  readonly n_columns: number;
  /** `[n_logits]`; a row for each is appended first, in this order. */
  readonly logitProbabilities: ArrayLike<number>;
}

interface KnownRow {
  readonly values: Float32Array;
  /** Absolute sum of the row, at least `SMALLEST_ROW_SUM`. */
  readonly sum: number;
}

/**
 * Rows over all columns, appended in batches and never copied: a batch's array is kept by reference and must not be
 * changed afterwards. Ranking reads each known row once.
 */
export class KnownRows {
  readonly #options: KnownRowsOptions;
  readonly #logitRows: KnownRow[] = [];
  /** By active feature. */
  readonly #featureRows: (KnownRow | undefined)[];

  constructor(options: KnownRowsOptions) {
    this.#options = options;
    this.#featureRows = new Array<KnownRow | undefined>(options.n_active);
  }

  /** Whether the row of an active feature is known. */
  has(feature: number): boolean {
    return this.#featureRows[feature] !== undefined;
  }

  /** Rows of logit targets, `[batch, n_columns]`, in the order of the targets. */
  appendLogits(rows: Float32Array): void {
    this.#logitRows.push(...this.#split(rows));
  }

  /** Rows of active features, `[batch, n_columns]`. */
  append(features: ArrayLike<number>, rows: Float32Array): void {
    const split = this.#split(rows);
    if (split.length !== features.length) {
      throw new RangeError(`${features.length} features, but ${split.length} rows`);
    }
    split.forEach((row, i) => (this.#featureRows[features[i]!] = row));
  }

  /**
   * Influence of every source as far as it can be told from the known rows, `[n_columns]`: mass starts on the logits,
   * and passes through features whose row is known. One pass, logits first, then features from the last to the first,
   * since a feature receives only from features before it.
   */
  influence(): Float64Array {
    const { n_active, n_columns, logitProbabilities } = this.#options;
    const arrived = new Float64Array(n_columns);
    this.#logitRows.forEach((row, i) => {
      spreadRange(row.values, 0, n_columns, logitProbabilities[i]! / row.sum, arrived);
    });
    for (let feature = n_active - 1; feature >= 0; feature--) {
      const row = this.#featureRows[feature];
      const mass = arrived[feature]!;
      if (row === undefined || mass === 0) continue;
      // Its own layer and those above are zero.
      spreadRange(row.values, 0, feature, mass / row.sum, arrived);
      spreadRange(row.values, n_active, n_columns, mass / row.sum, arrived);
    }
    return arrived;
  }

  /** The `count` features of most influence whose row is not known, best first; of equals the first one. */
  best(count: number, influence: Float64Array = this.influence()): Int32Array {
    const unknown = [...this.#featureRows.keys()].filter((feature) => !this.has(feature));
    unknown.sort((a, b) => influence[b]! - influence[a]! || a - b);
    return Int32Array.from(unknown.slice(0, count));
  }

  /**
   * The edges of the finished graph, `[k + n_logits, N]`: rows and columns of `selected` (ascending) only, rows in the
   * order of nodes. Each known row is let go as soon as it is copied, so this object is empty afterwards.
   */
  takeEdges(selected: Int32Array): Float32Array {
    const { n_active, n_columns } = this.#options;
    const n_others = n_columns - n_active;
    const N = selected.length + n_others + this.#logitRows.length;
    const edges = new Float32Array((selected.length + this.#logitRows.length) * N);
    const copy = (row: KnownRow, target: number): void => {
      const start = target * N;
      for (let i = 0; i < selected.length; i++) edges[start + i] = row.values[selected[i]!]!;
      edges.set(row.values.subarray(n_active), start + selected.length);
    };
    selected.forEach((feature, target) => {
      const row = this.#featureRows[feature];
      if (row === undefined) {
        throw new UsageError({
          code: 'row_unknown',
          message: `The row of active feature ${feature} was never computed, so it cannot be selected.`,
        });
      }
      copy(row, target);
      this.#featureRows[feature] = undefined;
    });
    this.#logitRows.forEach((row, i) => {
      copy(row, selected.length + i);
    });
    this.#featureRows.fill(undefined);
    this.#logitRows.length = 0;
    return edges;
  }

  #split(rows: Float32Array): KnownRow[] {
    const { n_columns } = this.#options;
    if (rows.length % n_columns !== 0) {
      throw new RangeError(`${rows.length} values are no whole number of rows of ${n_columns}`);
    }
    return Array.from({ length: rows.length / n_columns }, (_, i) => {
      const values = rows.subarray(i * n_columns, (i + 1) * n_columns);
      return { values, sum: Math.max(absoluteSum(values), SMALLEST_ROW_SUM) };
    });
  }
}

function absoluteSum(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.abs(values[i]!);
  return sum;
}

function spreadRange(
  values: Float32Array,
  start: number,
  stop: number,
  scale: number,
  arrived: Float64Array,
): void {
  for (let i = start; i < stop; i++) arrived[i]! += Math.abs(values[i]!) * scale;
}
