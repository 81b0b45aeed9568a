/** Picture: a graph as rows, columns and sorted links. Everything that is drawn, in the page or as SVG, reads this. */

export type MarkKind = 'feature' | 'error' | 'embedding' | 'logit';

export interface PictureNode {
  /** Index in `PictureGraph.nodes`. */
  readonly index: number;
  /** Unique in its graph. */
  readonly id: string;
  readonly kind: MarkKind;
  /** Of features and errors. */
  readonly layer: number | null;
  /** 0 for embeddings, layer + 1 for features and errors, the last one for logits. */
  readonly row: number;
  /** Position of its token, which is its column. */
  readonly position: number;
  readonly feature: number | null;
  /** The token at its position; of a logit, the token it stands for. */
  readonly token: string;
  readonly activation: number | null;
  /** Cumulative share of influence down to this node: small numbers are important nodes. */
  readonly influence: number | null;
  /** Of logits. */
  readonly probability: number | null;
  /** Label of the file. */
  readonly clerp: string;
  /** The first of the explained tokens. */
  readonly isTarget: boolean;
}

/** Links are stored as columns, since a graph has up to 50,000 of them. Nodes are given by their index. */
export interface PictureGraph {
  readonly nodes: readonly PictureNode[];
  readonly indexById: ReadonlyMap<string, number>;
  /** One for each column. */
  readonly tokens: readonly string[];
  readonly layerCount: number;
  readonly rowCount: number;
  /** Thresholds that the file was pruned with, the largest that can be shown. */
  readonly nodeThreshold: number;
  readonly edgeThreshold: number;
  readonly linkCount: number;
  /** Links by rising |weight|, so that the strongest are drawn last. */
  readonly source: Int32Array;
  readonly target: Int32Array;
  readonly weight: Float32Array;
  /** Share of a link among the inputs of its target, times the influence of the target. */
  readonly linkInfluence: Float64Array;
  /** Links into node i: `inputLinks[inputStart[i] … inputStart[i + 1]]`, strongest first. */
  readonly inputStart: Int32Array;
  readonly inputLinks: Int32Array;
  readonly outputStart: Int32Array;
  readonly outputLinks: Int32Array;
  /** Sum of |weight| over the inputs of a node. */
  readonly inputSum: Float64Array;
  /** Largest |weight|. */
  readonly maxWeight: number;
}
