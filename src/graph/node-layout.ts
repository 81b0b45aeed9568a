/** Graph, layout: the only file that converts between node indices, rows and columns of the edges. */

import { unreachable, UsageError } from '../errors.ts';

/** A node by its index. `feature` counts the selected features, `logit` the logit targets. */
export type Node =
  | { readonly kind: 'feature'; readonly feature: number }
  | { readonly kind: 'error'; readonly layer: number; readonly position: number }
  | { readonly kind: 'token'; readonly position: number }
  | { readonly kind: 'logit'; readonly logit: number };

export type NodeKind = Node['kind'];

export interface NodeCounts {
  /** Selected features, `k` in the shapes. */
  readonly n_features: number;
  readonly n_layers: number;
  readonly n_pos: number;
  readonly n_logits: number;
}

/** Half-open range of node indices. */
export interface NodeRange {
  readonly start: number;
  readonly stop: number;
}

/**
 * Order of nodes: `[selected features][errors, layer-major, then position][tokens][logits]`. Every node has a column
 * (as a source); only features and logits have a row (as a target): rows of the others are zero and never stored.
 */
export class NodeLayout implements NodeCounts {
  readonly n_features: number;
  readonly n_layers: number;
  readonly n_pos: number;
  readonly n_logits: number;
  readonly features: NodeRange;
  readonly errors: NodeRange;
  readonly tokens: NodeRange;
  readonly logits: NodeRange;

  constructor(counts: NodeCounts) {
    this.n_features = counts.n_features;
    this.n_layers = counts.n_layers;
    this.n_pos = counts.n_pos;
    this.n_logits = counts.n_logits;
    this.features = { start: 0, stop: this.n_features };
    this.errors = { start: this.features.stop, stop: this.features.stop + this.n_layers * this.n_pos };
    this.tokens = { start: this.errors.stop, stop: this.errors.stop + this.n_pos };
    this.logits = { start: this.tokens.stop, stop: this.tokens.stop + this.n_logits };
  }

  /** Number of nodes, which is the number of columns. */
  get n_nodes(): number {
    return this.logits.stop;
  }

  /** Number of rows that exist: selected features, then logits. */
  get n_rows(): number {
    return this.n_features + this.n_logits;
  }

  featureIndex(feature: number): number {
    return within(feature, this.n_features, 'feature');
  }

  errorIndex(layer: number, position: number): number {
    const place =
      within(layer, this.n_layers, 'layer') * this.n_pos + within(position, this.n_pos, 'position');
    return this.errors.start + place;
  }

  tokenIndex(position: number): number {
    return this.tokens.start + within(position, this.n_pos, 'position');
  }

  logitIndex(logit: number): number {
    return this.logits.start + within(logit, this.n_logits, 'logit');
  }

  /** The node at an index. Throws `UsageError` outside `0 … n_nodes - 1`. */
  describe(index: number): Node {
    within(index, this.n_nodes, 'node');
    if (index < this.features.stop) return { kind: 'feature', feature: index };
    if (index < this.errors.stop) {
      const place = index - this.errors.start;
      return { kind: 'error', layer: Math.floor(place / this.n_pos), position: place % this.n_pos };
    }
    if (index < this.tokens.stop) return { kind: 'token', position: index - this.tokens.start };
    return { kind: 'logit', logit: index - this.logits.start };
  }

  /** Inverse of `describe`. */
  index(node: Node): number {
    switch (node.kind) {
      case 'feature':
        return this.featureIndex(node.feature);
      case 'error':
        return this.errorIndex(node.layer, node.position);
      case 'token':
        return this.tokenIndex(node.position);
      case 'logit':
        return this.logitIndex(node.logit);
      default:
        return unreachable(node);
    }
  }

  /** The node that a row of the edges belongs to. */
  nodeOfRow(row: number): number {
    return row < this.n_features ? row : this.logits.start + (row - this.n_features);
  }

  /** The row of a node, or -1 for errors and tokens, which have none. */
  rowOfNode(index: number): number {
    if (index < this.features.stop) return index;
    return index < this.logits.start ? -1 : this.n_features + (index - this.logits.start);
  }
}

function within(value: number, count: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value < count) return value;
  throw new UsageError({
    code: 'node_out_of_range',
    message: `There is no ${what} ${value} in this graph: it has ${count}.`,
    hint: count > 0 ? `Take one from 0 to ${count - 1}.` : `This graph has no node of that kind.`,
  });
}
