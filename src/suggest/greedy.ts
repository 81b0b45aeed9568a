/** Suggest, step 4: features chosen for the score alone, one after the other, to compare a suggested circuit with. */
import { FEATURE_FIELDS, type Graph } from '../graph/graph.ts';

/**
 * `count` features of `small`, each the one that adds most completeness (`graphScores` of `graphOfPinned`) to those before it; among
 * equals the lower index. Ascending.
 *
 * To pin a feature changes two terms of each row: its own link, and the error of its place, which loses that link. So a trial
 * takes time with the pinned features alone, and not with all columns.
 */
export function greedyFeatures(small: Graph, count: number): Int32Array {
  const rows = new PinnedRows(small);
  const left = new Set(Array.from({ length: small.layout.n_features }, (_, node) => node));
  const taken: number[] = [];
  while (taken.length < count && left.size > 0) {
    let best = { node: -1, completeness: -Infinity };
    for (const node of left) {
      const completeness = rows.completenessWith(taken, node);
      if (completeness > best.completeness) best = { node, completeness };
    }
    rows.pin(best.node);
    taken.push(best.node);
    left.delete(best.node);
  }
  return Int32Array.from(taken).sort();
}

/** Rows of a graph in which features that are not pinned count as error of their place. */
class PinnedRows {
  readonly #graph: Graph;
  /** `[n_rows, errors]` signed. */
  readonly #errors: Float64Array;
  /** `[n_rows]` sums of absolute values: errors, and tokens with pinned features. */
  readonly #errorSums: Float64Array;
  readonly #otherSums: Float64Array;
  /** `[features]` column of the error of their place. */
  readonly #placeOf: Int32Array;

  constructor(graph: Graph) {
    const { layout, edges } = graph;
    this.#graph = graph;
    const width = layout.errors.stop - layout.errors.start;
    this.#placeOf = Int32Array.from({ length: layout.n_features }, (_, node) => {
      const active = graph.selected_features[node]! * FEATURE_FIELDS;
      const [layer, position] = [graph.active_features[active]!, graph.active_features[active + 1]!];
      return layout.errorIndex(layer, position) - layout.errors.start;
    });
    this.#errors = new Float64Array(layout.n_rows * width);
    this.#errorSums = new Float64Array(layout.n_rows);
    this.#otherSums = new Float64Array(layout.n_rows);
    for (let row = 0; row < layout.n_rows; row++) {
      const links = edges.subarray(row * layout.n_nodes, (row + 1) * layout.n_nodes);
      const errors = this.#errors.subarray(row * width, (row + 1) * width);
      errors.set(links.subarray(layout.errors.start, layout.errors.stop));
      for (let node = 0; node < layout.n_features; node++) errors[this.#placeOf[node]!]! += links[node]!;
      this.#errorSums[row] = absoluteSum(errors);
      this.#otherSums[row] = absoluteSum(links.subarray(layout.tokens.start, layout.tokens.stop));
    }
  }

  pin(node: number): void {
    const { n_rows } = this.#graph.layout;
    for (let row = 0; row < n_rows; row++) {
      const link = this.#link(row, node);
      this.#errorSums[row]! += this.#errorChange(row, node);
      this.#errors[this.#errorAt(row, node)]! -= link;
      this.#otherSums[row]! += Math.abs(link);
    }
  }

  /** Completeness of the graph of `pinned` and one more feature. */
  completenessWith(pinned: readonly number[], more: number): number {
    const { layout, logit_probabilities } = this.#graph;
    // Features receive from those before them only, so that all mass of a node has arrived when its row is reached.
    const features = [...pinned, more].sort((a, b) => b - a);
    const arrived = new Map<number, number>(features.map((node) => [node, 0]));
    let [output, complete] = [0, 0];
    const pass = (row: number, mass: number): void => {
      if (mass === 0) return;
      const link = Math.abs(this.#link(row, more));
      const errors = Math.max(0, this.#errorSums[row]! + this.#errorChange(row, more));
      const sum = errors + this.#otherSums[row]! + link;
      let toFeatures = 0;
      if (sum > 0) {
        for (const node of features) {
          const part = (Math.abs(this.#link(row, node)) / sum) * mass;
          if (part !== 0) arrived.set(node, arrived.get(node)! + part);
          toFeatures += part;
        }
      }
      // What goes to tokens and errors ends there, where nothing is missing.
      const ends = sum > 0 ? mass - toFeatures : 0;
      output += mass + ends;
      complete += mass * (1 - (sum > 0 ? errors / sum : 0)) + ends;
    };
    for (let logit = layout.n_logits - 1; logit >= 0; logit--)
      pass(layout.n_features + logit, logit_probabilities[logit]!);
    for (const node of features) pass(node, arrived.get(node)!);
    return output === 0 ? 0 : complete / output;
  }

  #link(row: number, node: number): number {
    return this.#graph.edges[row * this.#graph.layout.n_nodes + node]!;
  }

  #errorAt(row: number, node: number): number {
    const { errors } = this.#graph.layout;
    return row * (errors.stop - errors.start) + this.#placeOf[node]!;
  }

  /** What the absolute sum of a row's errors becomes larger by when the link of a feature is none of them any more. */
  #errorChange(row: number, node: number): number {
    const error = this.#errors[this.#errorAt(row, node)]!;
    return Math.abs(error - this.#link(row, node)) - Math.abs(error);
  }
}

function absoluteSum(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.abs(values[i]!);
  return sum;
}
