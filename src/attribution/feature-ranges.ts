/** Attribution: where the active features of a layer and a position stand in their list, which is sorted by both. */
import { FEATURE_FIELDS } from '../graph/graph.ts';
import type { ActiveFeatures } from '../replacement/replacement-model.ts';

export class FeatureRanges {
  private readonly n_pos: number;
  /** Index of the first feature of each layer and position, [n_layers · n_pos + 1]. */
  private readonly starts: Int32Array;

  constructor({ indices }: ActiveFeatures, n_layers: number, n_pos: number) {
    this.n_pos = n_pos;
    this.starts = new Int32Array(n_layers * n_pos + 1);
    for (let at = 0; at < indices.length; at += FEATURE_FIELDS) {
      this.starts[indices[at]! * n_pos + indices[at + 1]! + 1]!++;
    }
    for (let i = 0; i < n_layers * n_pos; i++) this.starts[i + 1]! += this.starts[i]!;
  }

  /** Features of `layer` at positions [first, stop) are those from `start(layer, first)` to `start(layer, stop)`. */
  start(layer: number, position: number): number {
    return this.starts[layer * this.n_pos + position]!;
  }
}
