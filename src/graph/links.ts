/**
 * Graph, links: a graph row by row, however it holds its links. What is computed from all of them reads them here, so that a
 * graph of few links needs no matrix.
 */
import type { Graph, GraphNodes } from './graph.ts';
import type { NodeLayout } from './node-layout.ts';

/** A graph that has its links as a matrix, or in another form that can be read row by row. */
export type LinkedGraph = Graph | GraphOfLinks;

export interface GraphOfLinks extends GraphNodes {
  readonly links: Links;
}

export interface Links {
  /** @param kept `[N]` nodes whose links are read, as sources. Left out: all. */
  rows(kept?: Uint8Array): LinkRows;
}

/**
 * One row at a time: `read` changes what the fields hold. Zeros may be among the weights, since to leave those of a matrix out
 * would take longer than to add them.
 */
export interface LinkRows {
  /** Where the links of the row begin, ascending. */
  readonly sources: Int32Array;
  readonly weights: Float32Array;
  /** Number of links of a row; what is behind it in the fields is of no meaning. */
  read(row: number): number;
}

export function linkRows(graph: LinkedGraph, kept?: Uint8Array): LinkRows {
  return 'links' in graph ? graph.links.rows(kept) : new MatrixRows(graph, kept);
}

/** The graph with its links as a matrix; itself, where they are one. */
export function withMatrix(graph: LinkedGraph): Graph {
  if (!('links' in graph)) return graph;
  const { links, ...nodes } = graph;
  const { n_rows, n_nodes } = graph.layout;
  const edges = new Float32Array(n_rows * n_nodes);
  const rows = links.rows();
  for (let row = 0; row < n_rows; row++) {
    const n = rows.read(row);
    for (let i = 0; i < n; i++) edges[row * n_nodes + rows.sources[i]!] = rows.weights[i]!;
  }
  return { ...nodes, edges };
}

/** Nodes that can be sources, of those that take part: logits never are. */
function sourceNodes(layout: NodeLayout, kept?: Uint8Array): Int32Array {
  const all = Int32Array.from({ length: layout.logits.start }, (_, node) => node);
  return kept === undefined ? all : all.filter((node) => kept[node] !== 0);
}

class MatrixRows implements LinkRows {
  readonly sources: Int32Array;
  weights: Float32Array;
  readonly #edges: Float32Array;
  readonly #n_nodes: number;
  readonly #isWhole: boolean;

  constructor({ layout, edges }: Graph, kept?: Uint8Array) {
    this.sources = sourceNodes(layout, kept);
    this.weights = new Float32Array(this.sources.length);
    this.#edges = edges;
    this.#n_nodes = layout.n_nodes;
    this.#isWhole = this.sources.length === layout.logits.start;
  }

  read(row: number): number {
    const { sources, weights } = this;
    const start = row * this.#n_nodes;
    const edges = this.#edges;
    const n = sources.length;
    if (this.#isWhole) this.weights = edges.subarray(start, start + n);
    else for (let i = 0; i < n; i++) weights[i] = edges[start + sources[i]!]!;
    return n;
  }
}
