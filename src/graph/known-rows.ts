/** Graph, during attribution: the rows that are computed so far, and the ranking of features to compute next. */
import { UsageError } from '../errors.ts';
import type { RowColumns } from './row-columns.ts';

/** As in `influence.ts`, but larger: the reference uses another floor while it ranks. */
const SMALLEST_ROW_SUM = 1e-8;

interface KnownRow {
  /** Layer of the target; the number of layers for logits. */
  readonly layer: number;
  /** Only columns that can reach the target: `RowColumns.reaching(layer)`, one range after the other. */
  readonly values: Float32Array;
  /** Absolute sum of the row, at least `SMALLEST_ROW_SUM`. */
  readonly sum: number;
}

/**
 * Rows, appended in batches. Of each only what can be other than zero is kept: half of it on average, since a row of a
 * layer is reached from lower layers alone. Ranking reads each known row once.
 */
export class KnownRows {
  #columns: RowColumns;
  readonly #layerOf: (feature: number) => number;
  readonly #logitProbabilities: ArrayLike<number>;
  readonly #logitRows: KnownRow[] = [];
  readonly #featureRows = new Map<number, KnownRow>();

  /**
   * @param columns of all active features
   * @param layerOf layer of an active feature
   * @param logitProbabilities [n_logits]; a row for each is appended first, in this order
   */
  constructor(
    columns: RowColumns,
    layerOf: (feature: number) => number,
    logitProbabilities: ArrayLike<number>,
  ) {
    this.#columns = columns;
    this.#layerOf = layerOf;
    this.#logitProbabilities = logitProbabilities;
  }

  /** Columns of the rows that are appended. */
  get columns(): RowColumns {
    return this.#columns;
  }

  /** Whether the row of an active feature is known. */
  has(feature: number): boolean {
    return this.#featureRows.has(feature);
  }

  /** Numbers that are kept. */
  get n_values(): number {
    return [...this.#logitRows, ...this.#featureRows.values()].reduce(
      (sum, { values }) => sum + values.length,
      0,
    );
  }

  /** Rows of logit targets, `[batch, n_columns]`, in the order of the targets. */
  appendLogits(rows: Float32Array): void {
    for (const row of this.#split(rows)) this.#logitRows.push(this.#known(row, this.#columns.n_layers));
  }

  /** Rows of active features, `[batch, n_columns]`. */
  append(features: ArrayLike<number>, rows: Float32Array): void {
    const split = this.#split(rows);
    if (split.length !== features.length) {
      throw new RangeError(`${features.length} features, but ${split.length} rows`);
    }
    split.forEach((row, i) => {
      const feature = features[i]!;
      this.#featureRows.set(feature, this.#known(row, this.#layerOf(feature)));
    });
  }

  /**
   * Influence of every source as far as it can be told from the known rows, `[n_columns]`: mass starts on the logits,
   * and passes through features whose row is known. One pass, logits first, then features from the last to the first,
   * since a feature receives only from features before it.
   */
  influence(): Float64Array {
    const arrived = new Float64Array(this.#columns.n_columns);
    this.#logitRows.forEach((row, i) => {
      this.#spread(row, this.#logitProbabilities[i]! / row.sum, arrived);
    });
    const { features } = this.#columns;
    for (let column = features.length - 1; column >= 0; column--) {
      const row = this.#featureRows.get(features[column]!);
      const mass = arrived[column]!;
      if (row !== undefined && mass !== 0) this.#spread(row, mass / row.sum, arrived);
    }
    return arrived;
  }

  /** The `count` features of most influence whose row is not known, best first; of equals the first one. */
  best(count: number, influence: Float64Array = this.influence()): Int32Array {
    const unknown = this.#columns.features.filter((feature) => !this.has(feature));
    return unknown.sort((a, b) => influence[b]! - influence[a]! || a - b).slice(0, count);
  }

  /**
   * From now on only `selected` (ascending) have columns: rows of other features and columns of other features are let go,
   * and rows appended later have those columns only. For when nothing is ranked any more.
   */
  narrowTo(selected: Int32Array): void {
    if (selected.length === this.#columns.n_features) return;
    const narrow = this.#columns.narrowedTo(selected);
    const kept = this.#columns.columnsOf(selected);
    const pick = (row: KnownRow): KnownRow => {
      const n_features = narrow.featuresBelow(row.layer);
      const others = row.values.subarray(this.#columns.featuresBelow(row.layer));
      const values = new Float32Array(n_features + others.length);
      for (let i = 0; i < n_features; i++) values[i] = row.values[kept[i]!]!;
      values.set(others, n_features);
      return { ...row, values };
    };
    const isSelected = new Set(selected);
    // One by one, so that each old row can be freed before the next is made.
    for (const [feature, row] of this.#featureRows) {
      if (isSelected.has(feature)) this.#featureRows.set(feature, pick(row));
      else this.#featureRows.delete(feature);
    }
    this.#logitRows.forEach((row, i) => (this.#logitRows[i] = pick(row)));
    this.#columns = narrow;
  }

  /**
   * The edges of the finished graph, `[k + n_logits, N]`: rows and columns of `selected` (ascending) only, rows in the
   * order of nodes. Each known row is released as soon as it is copied, so this object is empty afterwards.
   */
  takeEdges(selected: Int32Array): Float32Array {
    this.narrowTo(selected);
    const n_rows = selected.length + this.#logitRows.length;
    const N = this.#columns.n_columns + this.#logitRows.length;
    const edges = new Float32Array(n_rows * N);
    const copy = (row: KnownRow, target: number): void => {
      let from = 0;
      for (const { start, stop } of this.#columns.reaching(row.layer)) {
        edges.set(row.values.subarray(from, from + stop - start), target * N + start);
        from += stop - start;
      }
    };
    selected.forEach((feature, target) => {
      const row = this.#featureRows.get(feature);
      if (row === undefined) {
        throw new UsageError({
          code: 'row_unknown',
          message: `The row of active feature ${feature} was never computed, so it cannot be selected.`,
        });
      }
      copy(row, target);
      this.#featureRows.delete(feature);
    });
    this.#logitRows.forEach((row, i) => copy(row, selected.length + i));
    this.#logitRows.length = 0;
    return edges;
  }

  #split(rows: Float32Array): Float32Array[] {
    const { n_columns } = this.#columns;
    if (rows.length % n_columns !== 0) {
      throw new RangeError(`${rows.length} values are no whole number of rows of ${n_columns}`);
    }
    return Array.from({ length: rows.length / n_columns }, (_, i) =>
      rows.subarray(i * n_columns, (i + 1) * n_columns),
    );
  }

  #known(row: Float32Array, layer: number): KnownRow {
    const ranges = this.#columns.reaching(layer);
    const values = new Float32Array(ranges.reduce((sum, { start, stop }) => sum + stop - start, 0));
    let at = 0;
    for (const { start, stop } of ranges) {
      values.set(row.subarray(start, stop), at);
      at += stop - start;
    }
    return { layer, values, sum: Math.max(absoluteSum(values), SMALLEST_ROW_SUM) };
  }

  #spread({ layer, values }: KnownRow, scale: number, arrived: Float64Array): void {
    let at = 0;
    for (const { start, stop } of this.#columns.reaching(layer)) {
      for (let column = start; column < stop; column++) arrived[column]! += Math.abs(values[at++]!) * scale;
    }
  }
}

function absoluteSum(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.abs(values[i]!);
  return sum;
}
