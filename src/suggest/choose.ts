/** Suggest, step 1: the nodes of most influence, and a small graph in which everything else is worked out. */
import type { Graph } from '../graph/graph.ts';
import type { NodeRange } from '../graph/node-layout.ts';
import type { LinkedGraph } from '../graph/links.ts';
import type { PrunedGraph } from '../graph/prune.ts';
import { graphOfPinned } from '../graph/subgraph.ts';
import type { SuggestLimits } from './limits.ts';
import { isSpecialToken } from './words.ts';

/** Features among which the greedy choice looks; each costs it a pass over the small graph. */
const MOST_CANDIDATES = 128;
/** Of the boxes, so much at most are logits and tokens: the circuit is between them. */
const LOGIT_PART = 1 / 4;
const TOKEN_PART = 1 / 3;
/** A logit or token with less than this of the strongest one's probability or influence is left out. */
const LEAST_SHARE = 0.1;

export interface Choice {
  /** Its features are the candidates; all other features count as errors of their place. */
  readonly small: Graph;
  /** `[nodes of small]` the same nodes in the whole graph. */
  readonly whole: Int32Array;
  /** `[nodes of small]` influence in the whole graph; 0 for logits. */
  readonly influence: Float64Array;
  /** Nodes of `small`, the most influential first. */
  readonly features: readonly number[];
  /** Nodes of `small`, by position. */
  readonly tokens: readonly number[];
  /** Nodes of `small`, the most probable first. */
  readonly logits: readonly number[];
}

/** The most influential of the features that pruning kept, of the tokens, and the most probable logits. */
export function chooseNodes({ graph, nodeMask }: PrunedGraph<LinkedGraph>, limits: SuggestLimits): Choice {
  const { layout, node_influence: reached } = graph;
  const kept = strongest(layout.features, (node) => (nodeMask[node] === 1 ? reached[node]! : 0));
  const chosen = kept.slice(0, limits.maxNodes);
  const others = strongest(layout.features, (node) => reached[node]!).filter(
    (node) => !chosen.includes(node),
  );
  const more = others.slice(0, Math.max(0, MOST_CANDIDATES - chosen.length));
  const pinned = Int32Array.from([...chosen, ...more]).sort();
  const small = graphOfPinned(graph, pinned);
  const shift = layout.n_features - pinned.length;
  const whole = Int32Array.from({ length: small.layout.n_nodes }, (_, node) =>
    node < pinned.length ? pinned[node]! : node + shift,
  );
  const influence = Float64Array.from(whole, (node) => reached[node]!);
  const most = (part: number): number => Math.max(1, Math.floor(limits.maxBoxes * part));
  const { token_strings } = graph.provenance;
  const token = (node: number): number =>
    isSpecialToken(token_strings[node - small.layout.tokens.start]!) ? 0 : influence[node]!;
  const probability = (node: number): number => graph.logit_probabilities[node - small.layout.logits.start]!;
  return {
    small,
    whole,
    influence,
    features: chosen.map((node) => pinned.indexOf(node)),
    tokens: notable(small.layout.tokens, token, most(TOKEN_PART)).sort((a, b) => a - b),
    logits: notable(small.layout.logits, probability, most(LOGIT_PART)),
  };
}

/** Nodes of positive value, the largest first; among equals the lower index. */
function strongest({ start, stop }: NodeRange, value: (node: number) => number): number[] {
  return Array.from({ length: stop - start }, (_, i) => start + i)
    .filter((node) => value(node) > 0)
    .sort((a, b) => value(b) - value(a) || a - b);
}

function notable(range: NodeRange, value: (node: number) => number, most: number): number[] {
  const nodes = strongest(range, value);
  return nodes.filter((node) => value(node) >= LEAST_SHARE * value(nodes[0]!)).slice(0, most);
}
