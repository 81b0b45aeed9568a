/**
 * Graph, links: a graph row by row, however it holds its links. What is computed from all of them reads them here, so that a
 * graph of few links needs no matrix.
 */
import type { Graph, GraphNodes } from './graph.ts';

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
  /** Where the links of the row begin, ascending; of the row are the first as many as `read` says. */
  readonly sources: Int32Array;
  /** `[N]` by source; of other nodes there is anything. */
  readonly weights: Float32Array;
  /** Number of links of a row. */
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
    for (let i = 0; i < n; i++) {
      const source = rows.sources[i]!;
      edges[row * n_nodes + source] = rows.weights[source]!;
    }
  }
  return { ...nodes, edges };
}

class MatrixRows implements LinkRows {
  readonly sources: Int32Array;
  weights: Float32Array;
  readonly #graph: Graph;

  constructor(graph: Graph, kept?: Uint8Array) {
    // Logits are never sources.
    const all = Int32Array.from({ length: graph.layout.logits.start }, (_, node) => node);
    this.sources = kept === undefined ? all : all.filter((node) => kept[node] !== 0);
    this.weights = graph.edges;
    this.#graph = graph;
  }

  read(row: number): number {
    const { edges, layout } = this.#graph;
    this.weights = edges.subarray(row * layout.n_nodes, (row + 1) * layout.n_nodes);
    return this.sources.length;
  }
}
