/** Graph, during attribution: which sources have a column in its rows, and which of them can reach a target. */
import { FEATURE_FIELDS } from './graph.ts';
import type { NodeRange } from './node-layout.ts';

/** Columns in the order of nodes: [features][errors: layer-major, then position][tokens]. */
export class RowColumns {
  /** Features that have a column: indices into the active features, ascending. */
  readonly features: Int32Array;
  readonly n_layers: number;
  readonly n_pos: number;
  /** Layer of each of `features`, which are sorted by layer. */
  readonly #layers: Int32Array;
  /** Number of `features` in lower layers, [n_layers + 1]. */
  readonly #below: Int32Array;

  constructor(features: Int32Array, layers: Int32Array, n_layers: number, n_pos: number) {
    this.features = features;
    this.n_layers = n_layers;
    this.n_pos = n_pos;
    this.#layers = layers;
    this.#below = new Int32Array(n_layers + 1);
    for (const layer of layers) this.#below[layer + 1]!++;
    for (let layer = 0; layer < n_layers; layer++) this.#below[layer + 1]! += this.#below[layer]!;
  }

  /** Columns for all active features. @param indices [n, 3] layer, position, feature, sorted */
  static ofAll(indices: Int32Array, n_layers: number, n_pos: number): RowColumns {
    const n = indices.length / FEATURE_FIELDS;
    const features = Int32Array.from({ length: n }, (_, i) => i);
    const layers = Int32Array.from({ length: n }, (_, i) => indices[FEATURE_FIELDS * i]!);
    return new RowColumns(features, layers, n_layers, n_pos);
  }

  get n_features(): number {
    return this.features.length;
  }

  get n_columns(): number {
    return this.n_features + (this.n_layers + 1) * this.n_pos;
  }

  errorColumn(layer: number, position: number): number {
    return this.n_features + layer * this.n_pos + position;
  }

  tokenColumn(position: number): number {
    return this.n_features + this.n_layers * this.n_pos + position;
  }

  /** Number of features in layers below `layer`, whose columns come first. */
  featuresBelow(layer: number): number {
    return this.#below[layer]!;
  }

  /** Columns of the sources that can reach a target in `layer`: those below it, and tokens. `n_layers` for logits. */
  reaching(layer: number): readonly NodeRange[] {
    return [
      { start: 0, stop: this.featuresBelow(layer) },
      { start: this.errorColumn(0, 0), stop: this.errorColumn(layer, 0) },
      { start: this.tokenColumn(0), stop: this.n_columns },
    ];
  }

  /** Columns of `features` (ascending), all of which have one. */
  columnsOf(features: Int32Array): Int32Array {
    let column = 0;
    return features.map((feature) => {
      while (this.features[column]! < feature) column++;
      return column;
    });
  }

  /** The same with columns for some of the features only, ascending. */
  narrowedTo(features: Int32Array): RowColumns {
    const layers = this.columnsOf(features).map((column) => this.#layers[column]!);
    return new RowColumns(features, layers, this.n_layers, this.n_pos);
  }
}
