/** Graph, names: converts names of nodes in commands to node indices. */

import { nearest } from '../nearest.ts';
import { UsageError } from '../errors.ts';
import { featureOf, type Graph } from './graph.ts';
import type { NodeRange } from './node-layout.ts';
import { nodeId } from './nodes.ts';

/** `LAYER:POSITION:FEATURE`; `*` stands for every position. */
const FEATURE_NAME = /^(\d+):(\d+|\*):(\d+)$/;

/** Which nodes a text may name: tokens can only be sources, logits only targets. */
export type NodeRole = 'source' | 'target' | 'any';

/**
 * The nodes that a name stands for, ascending: a viewer id (`20_15589_10`, `E_26865_9`), a feature as
 * `LAYER:POSITION:FEATURE` (position `*`: all), or the string of a token or logit (`' Austin'`), which is every place
 * it occurs at. A string that nothing has exactly is tried without the spaces around it, so `Dallas` finds `' Dallas'`.
 * Throws `UsageError` with the nearest right name.
 */
export function selectNodes(graph: Graph, name: string, role: NodeRole = 'any'): number[] {
  const found = byId(graph, name) ?? byFeature(graph, name) ?? byText(graph, name, role);
  if (found !== undefined) return found;
  const guess = nearest(name.trim(), candidates(graph, role));
  throw new UsageError({
    code: 'unknown_node',
    message: `No ${role === 'any' ? 'node' : role} of this graph is called ${JSON.stringify(name)}.`,
    hint:
      guess === undefined
        ? 'Name a token or logit by its string, a feature as LAYER:POSITION:FEATURE, or any node by its id.'
        : `Did you mean ${JSON.stringify(guess)}?`,
  });
}

/** As `selectNodes`, for several names at once: each node once, ascending. */
export function selectAll(graph: Graph, names: Iterable<string>, role: NodeRole = 'any'): number[] {
  const nodes = new Set([...names].flatMap((name) => selectNodes(graph, name, role)));
  return [...nodes].sort((a, b) => a - b);
}

function byId(graph: Graph, name: string): number[] | undefined {
  for (let node = 0; node < graph.layout.n_nodes; node++) {
    if (nodeId(graph, node) === name) return [node];
  }
  return undefined;
}

function byFeature(graph: Graph, name: string): number[] | undefined {
  const parts = FEATURE_NAME.exec(name);
  if (parts === null) return undefined;
  const [, layer, position, feature] = parts;
  const nodes = Array.from({ length: graph.layout.n_features }, (_, node) => node).filter((node) => {
    const found = featureOf(graph, node);
    const atPosition = position === '*' || found.position === Number(position);
    return atPosition && found.layer === Number(layer) && found.feature === Number(feature);
  });
  return nodes.length === 0 ? undefined : nodes;
}

function byText(graph: Graph, name: string, role: NodeRole): number[] | undefined {
  const texts = labels(graph, role);
  const same = (fits: (text: string) => boolean): number[] =>
    texts.flatMap(({ node, text }) => (fits(text) ? [node] : []));
  const exact = same((text) => text === name);
  if (exact.length > 0) return exact;
  const trimmed = name.trim();
  const loose = trimmed === '' ? [] : same((text) => text.trim() === trimmed);
  return loose.length > 0 ? loose : undefined;
}

function labels(graph: Graph, role: NodeRole): { node: number; text: string }[] {
  const { layout, provenance } = graph;
  const named = ({ start }: NodeRange, texts: readonly string[]) =>
    texts.map((text, i) => ({ node: start + i, text }));
  return [
    ...(role === 'target' ? [] : named(layout.tokens, provenance.token_strings)),
    ...(role === 'source' ? [] : named(layout.logits, provenance.logit_labels)),
  ];
}

function* candidates(graph: Graph, role: NodeRole): Generator<string> {
  for (const { text } of labels(graph, role)) yield text;
  for (let node = 0; node < graph.layout.n_nodes; node++) yield nodeId(graph, node);
  for (let node = 0; node < graph.layout.n_features; node++) {
    const { layer, position, feature } = featureOf(graph, node);
    yield `${layer}:${position}:${feature}`;
  }
}
