/**
 * Picture, step 1: a viewer's graph as rows, columns and sorted links. No DOM and no Node in this room: it runs in browsers and
 * on the command line.
 */

import type { ViewerGraph, ViewerNode } from '../graph/neuronpedia.ts';
import { linkInfluence } from './influence.ts';
import type { MarkKind, PictureGraph, PictureNode } from './picture-graph.ts';

const MARK_KINDS: Readonly<Record<ViewerNode['feature_type'], MarkKind>> = {
  'cross layer transcoder': 'feature',
  'mlp reconstruction error': 'error',
  embedding: 'embedding',
  logit: 'logit',
};

/** Prepares a graph. Ids have to be unique and links need both ends, as `parseViewerGraph` guarantees. */
export function makePicture(graph: ViewerGraph): PictureGraph {
  const layerCount = countLayers(graph.nodes);
  const columns = graph.nodes.reduce((most, { ctx_idx }) => Math.max(most, ctx_idx + 1), 0);
  const given = graph.metadata.prompt_tokens;
  const tokens = Array.from({ length: Math.max(columns, given.length) }, (_, i) => given[i] ?? '');
  const nodes = graph.nodes.map((node, index) => pictureNode(node, index, layerCount, tokens));
  const indexById = new Map(nodes.map(({ id, index }) => [id, index]));

  const links = [...graph.links].sort((a, b) => Math.abs(a.weight) - Math.abs(b.weight));
  const source = Int32Array.from(links, (link) => indexById.get(link.source)!);
  const target = Int32Array.from(links, (link) => indexById.get(link.target)!);
  const weight = Float32Array.from(links, (link) => link.weight);
  const inputs = adjacency(target, nodes.length);
  const outputs = adjacency(source, nodes.length);
  const inputSum = new Float64Array(nodes.length);
  target.forEach((node, link) => (inputSum[node]! += Math.abs(weight[link]!)));
  const { node_threshold, pruning_settings } = graph.metadata;
  const ends = { source, target, weight, inputSum, inputStart: inputs.start, inputLinks: inputs.links };
  return {
    ...ends,
    nodes,
    indexById,
    tokens,
    layerCount,
    rowCount: layerCount + 2,
    nodeThreshold: node_threshold,
    edgeThreshold: pruning_settings.edge_threshold,
    linkCount: links.length,
    linkInfluence: linkInfluence(nodes, ends),
    outputStart: outputs.start,
    outputLinks: outputs.links,
    maxWeight: links.length === 0 ? 0 : Math.abs(weight.at(-1)!),
  };
}

/** Links into a node, strongest first. */
export function inputsOf({ inputStart, inputLinks }: PictureGraph, index: number): Int32Array {
  return inputLinks.subarray(inputStart[index], inputStart[index + 1]);
}

/** Links out of a node, strongest first. */
export function outputsOf({ outputStart, outputLinks }: PictureGraph, index: number): Int32Array {
  return outputLinks.subarray(outputStart[index], outputStart[index + 1]);
}

/** Index of a node by its id. Errors have the ids of tracer (`20_error_10`) and of circuit-tracer (`0_20_10`). */
export function indexOf({ nodes, indexById }: PictureGraph, id: string): number | undefined {
  const found = indexById.get(id);
  if (found !== undefined) return found;
  const ours = /^(\d+)_error_(\d+)$/.exec(id);
  const theirs = /^0_(\d+)_(\d+)$/.exec(id);
  const other = ours
    ? indexById.get(`0_${ours[1]!}_${ours[2]!}`)
    : theirs && indexById.get(`${theirs[1]!}_error_${theirs[2]!}`);
  return typeof other === 'number' && nodes[other]!.kind === 'error' ? other : undefined;
}

/** Name of a row on the axis. */
export function rowName({ rowCount }: PictureGraph, row: number): string {
  if (row === 0) return 'Emb';
  return row === rowCount - 1 ? 'Logit' : `L${row - 1}`;
}

/** The layer of logits is two above the last one; without logits, the highest layer of a node counts. */
function countLayers(nodes: readonly ViewerNode[]): number {
  let layers = 0;
  for (const { layer, feature_type } of nodes) {
    if (feature_type === 'embedding') continue;
    layers = Math.max(layers, feature_type === 'logit' ? Number(layer) - 1 : Number(layer) + 1 || 0);
  }
  return layers;
}

function pictureNode(
  node: ViewerNode,
  index: number,
  layerCount: number,
  tokens: readonly string[],
): PictureNode {
  const kind = MARK_KINDS[node.feature_type];
  const layer = kind === 'feature' || kind === 'error' ? Number(node.layer) || 0 : null;
  return {
    index,
    id: node.node_id,
    kind,
    layer,
    row: layer === null ? (kind === 'logit' ? layerCount + 1 : 0) : layer + 1,
    position: node.ctx_idx,
    feature: kind === 'feature' ? featureNumber(node) : null,
    token: kind === 'logit' ? logitToken(node) : tokens[node.ctx_idx]!,
    activation: node.activation,
    influence: node.influence,
    probability: kind === 'logit' ? node.token_prob : null,
    clerp: node.clerp,
    isTarget: node.is_target_logit,
  };
}

/** From the id (layer, feature, position), else by inverting the pairing of layer and feature. */
function featureNumber({ node_id, layer, feature }: ViewerNode): number | null {
  const parts = /^(\d+)_(\d+)_\d+$/.exec(node_id);
  if (parts?.[1] === layer) return Number(parts[2]);
  if (feature < 0) return null;
  const sum = Math.floor((Math.sqrt(8 * feature + 1) - 1) / 2);
  return feature - (sum * (sum + 1)) / 2;
}

function logitToken({ clerp, node_id }: ViewerNode): string {
  return /^Output "([^]*)" \(p=[\d.]+\)$/.exec(clerp)?.[1] ?? (clerp === '' ? node_id : clerp);
}

/** Links grouped by one of their ends, in descending order of their index. */
function adjacency(ends: Int32Array, nodeCount: number): { start: Int32Array; links: Int32Array } {
  const start = new Int32Array(nodeCount + 1);
  for (const node of ends) start[node + 1]!++;
  for (let node = 0; node < nodeCount; node++) start[node + 1]! += start[node]!;
  const next = start.slice();
  const links = new Int32Array(ends.length);
  for (let link = ends.length - 1; link >= 0; link--) links[next[ends[link]!]!++] = link;
  return { start, links };
}
