/** Study, `circuit`: the graph of what recurs in a group of graphs, as a graph like any other. */
import type { Graph, Provenance } from '../graph/graph.ts';
import { nodeInfluence } from '../graph/influence.ts';
import { NodeLayout } from '../graph/node-layout.ts';
import {
  ANSWER,
  type AlignedGraphs,
  type AlignedLink,
  type AlignedNode,
  type AlignedToken,
} from './aligned.ts';

/** Stands for a token or an answer that is not the same in as many graphs as a node has to be in. */
const VARIES = '(varies)';
/** A share of a number of graphs is not exact. */
const ROUNDING = 1e-9;

export interface Circuit {
  readonly graph: Graph;
  /** Feature nodes in the order of the graph. */
  readonly features: readonly AlignedNode[];
  readonly n_links: number;
  /** Place of the graph's first position. */
  readonly firstPlace: number;
}

export interface CircuitOptions {
  /** Of the graphs, that have to have a node or a link. */
  readonly share: number;
  readonly n_layers: number;
  readonly vocabulary_size: number | null;
  readonly provenance: Omit<
    Provenance,
    'prompt' | 'token_strings' | 'logit_labels' | 'vocabulary_size' | 'scores'
  >;
}

/**
 * Features, errors and links that are in at least a share of the graphs; then, until nothing changes, features without an input or
 * without a way on are taken away. Weights are means over all graphs, influence is that of the links left, scores are means over the
 * graphs. The explained tokens are one node.
 */
export function consensusCircuit(aligned: AlignedGraphs, options: CircuitOptions): Circuit {
  const least = options.share * aligned.n_graphs - ROUNDING;
  const recurs = ({ n_graphs }: { readonly n_graphs: number }): boolean => n_graphs >= least;
  const kept = new Set([ANSWER, ...aligned.nodes.filter(recurs).map(({ key }) => key)]);
  const links = withoutDeadEnds(
    kept,
    aligned.links.filter((link) => recurs(link) && link.weight !== 0),
  );
  const features = aligned.nodes.filter(({ key, kind }) => kind === 'feature' && kept.has(key));
  features.sort((a, b) => a.layer - b.layer || a.place - b.place || a.feature - b.feature);
  const tokens = tokensOf(aligned.tokens, kept, features);
  return {
    graph: graphOf({ aligned, kept, links, features, tokens }, options),
    features,
    n_links: links.length,
    firstPlace: tokens[0]![0]!.place,
  };
}

/** Changes `kept`: of features those that something reaches and that reach the answer. */
function withoutDeadEnds(kept: Set<string>, links: readonly AlignedLink[]): AlignedLink[] {
  for (;;) {
    const left = links.filter(({ source, target }) => kept.has(source) && kept.has(target));
    const sources = new Set(left.map(({ source }) => source));
    const targets = new Set(left.map(({ target }) => target));
    const dead = [...kept].filter(
      (key) => key.startsWith('feature:') && !(sources.has(key) && targets.has(key)),
    );
    if (dead.length === 0) return left;
    for (const key of dead) kept.delete(key);
  }
}

/** The places from the first that any node needs, or that recurs, to the last. */
function tokensOf(
  tokens: readonly AlignedToken[],
  kept: ReadonlySet<string>,
  features: readonly AlignedNode[],
): AlignedToken[][] {
  const byPlace = new Map<number, AlignedToken[]>();
  for (const one of tokens) byPlace.set(one.place, [...(byPlace.get(one.place) ?? []), one]);
  const recurring = [...kept].flatMap((key) => {
    const [kind, , place] = key.split(':');
    return kind === 'token' || kind === 'error' ? [Number(place)] : [];
  });
  const needed = [...recurring, ...features.map(({ place }) => place)].sort((a, b) => a - b);
  const [first, last] = [needed[0]!, needed.at(-1)!]; // one end of the prompt is in all graphs
  return Array.from({ length: last - first + 1 }, (_, i) => byPlace.get(first + i)!);
}

interface Parts {
  readonly aligned: AlignedGraphs;
  readonly kept: ReadonlySet<string>;
  readonly links: readonly AlignedLink[];
  readonly features: readonly AlignedNode[];
  readonly tokens: readonly (readonly AlignedToken[])[];
}

function graphOf({ aligned, kept, links, features, tokens }: Parts, options: CircuitOptions): Graph {
  const { n_layers, vocabulary_size } = options;
  const n_pos = tokens.length;
  const first = tokens[0]![0]!.place;
  const layout = new NodeLayout({ n_features: features.length, n_layers, n_pos, n_logits: 1 });
  const nodeOf = new Map<string, number>([[ANSWER, layout.logitIndex(0)]]);
  features.forEach(({ key }, i) => nodeOf.set(key, layout.featureIndex(i)));
  for (const { key, kind, layer, place } of aligned.nodes) {
    if (!kept.has(key)) continue;
    if (kind === 'error') nodeOf.set(key, layout.errorIndex(layer, place - first));
    if (kind === 'token') nodeOf.set(key, layout.tokenIndex(place - first));
  }
  const edges = new Float32Array(layout.n_rows * layout.n_nodes);
  for (const { source, target, weight } of links) {
    edges[layout.rowOfNode(nodeOf.get(target)!) * layout.n_nodes + nodeOf.get(source)!] = weight;
  }
  const answer = answerOf(aligned, options);
  const token_strings = tokens.map((one) => usual(one, options.share));
  const graph: Graph = {
    layout,
    edges,
    active_features: Int32Array.from(
      features.flatMap(({ layer, place, feature }) => [layer, place - first, feature]),
    ),
    activation_values: Float32Array.from(features, ({ activation }) => activation),
    selected_features: Int32Array.from(features.keys()),
    input_tokens: Int32Array.from(tokens, ([most]) => most!.token_id),
    logit_token_ids: Int32Array.of(answer.token_id),
    logit_probabilities: Float32Array.of(aligned.probability),
    node_influence: new Float32Array(layout.n_nodes),
    provenance: {
      ...options.provenance,
      ...{ prompt: token_strings.join(''), token_strings, logit_labels: [answer.label], vocabulary_size },
      scores: { replacement: aligned.replacement, completeness: aligned.completeness },
    },
  };
  return { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) };
}

/** The token that recurs, in the graphs that have the place. */
function usual(tokens: readonly Omit<AlignedToken, 'place'>[], share: number): string {
  const total = tokens.reduce((sum, { n_graphs }) => sum + n_graphs, 0);
  const [most] = tokens;
  return most!.n_graphs >= share * total - ROUNDING ? most!.token : VARIES;
}

/** The answer that recurs; else a direction that is no token, as custom ones are. */
function answerOf({ answers }: AlignedGraphs, { share, vocabulary_size }: CircuitOptions) {
  const [most] = answers;
  const label = usual(answers, share);
  const isToken = label === most!.token || vocabulary_size === null;
  return { token_id: isToken ? most!.token_id : vocabulary_size, label };
}
