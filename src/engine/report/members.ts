/** Engine, `report`: the boxes of a circuit with their nodes, and what is known of the features among them. */
import { unreachable } from '../../errors.ts';
import { featureOf, type GraphNodes } from '../../graph/graph.ts';
import type { BoxKind, PaperBox, PaperExample, PaperLabel, PaperMember } from '../../paper/paper.ts';
import type { PictureGraph } from '../../picture/picture-graph.ts';
import type { SubgraphNode } from '../../picture/subgraph.ts';
import type { FeaturePage } from '../../transcoder/feature-page.ts';
import { withoutRepetition } from '../../suggest/name.ts';
import { nameOfToken } from '../../suggest/words.ts';
import type { FeatureSource } from '../features/source.ts';
import type { OpenedGraph } from './open.ts';

/** Texts of a feature, and tokens on each side of the strongest one. */
const EXAMPLES = 2;
const AROUND = 7;

/** A supernode may have no name. */
const UNNAMED = 'unnamed';

/** A box of the page, and its nodes in the graph. */
export interface CircuitBox extends PaperBox {
  readonly nodes: readonly number[];
  /** Index in the picture's list. */
  readonly drawn: number;
}

/** Number of nodes of the graph by what the file calls them. */
export function nodesById({ pruned, idOf }: OpenedGraph): Map<string, number> {
  const { n_nodes } = pruned.graph.layout;
  return new Map(Array.from({ length: n_nodes }, (_, node) => [idOf(node), node]));
}

/** Tokens by position, features by position and layer, targets; as they are drawn otherwise. */
export async function boxesOf(
  opened: OpenedGraph,
  picture: PictureGraph,
  drawn: readonly SubgraphNode[],
  clerps: Readonly<Record<string, string>>,
  source: FeatureSource,
): Promise<CircuitBox[]> {
  const byId = nodesById(opened);
  const boxes: CircuitBox[] = [];
  for (const [place, { name, supernode, members: indices }] of drawn.entries()) {
    const nodes = indices.map((index) => byId.get(picture.nodes[index]!.id)!);
    const members: PaperMember[] = [];
    for (const node of nodes) members.push(await memberOf(opened, node, clerps, source));
    const isToken = supernode === null && members.every(({ kind }) => kind === 'token' || kind === 'target');
    const kinds = new Set(members.map(({ kind }) => kind));
    boxes.push({
      name: isToken ? nameOfToken(members[0]!.token) : name.trim() || UNNAMED,
      kind: kinds.size === 1 ? members[0]!.kind : 'mixed',
      is_supernode: supernode !== null,
      members,
      nodes,
      drawn: place,
    });
  }
  const sorted = boxes.sort(
    (a, b) => KIND_ORDER[a.kind] - KIND_ORDER[b.kind] || byPlace(a, b) || a.drawn - b.drawn,
  );
  const names = withoutRepetition(sorted.map((box) => distinctName(box, sorted)));
  return sorted.map((box, i) => ({ ...box, name: names[i]! }));
}

/** Features of one label are told apart by their numbers. */
function distinctName(
  { name, is_supernode, members: [first] }: CircuitBox,
  all: readonly CircuitBox[],
): string {
  const isShared = all.filter((other) => other.name === name).length > 1;
  const isFeature = !is_supernode && first?.kind === 'feature' && first.feature !== null;
  return isShared && isFeature ? `${name} (${first.layer}/${first.feature} at ${first.position})` : name;
}

const KIND_ORDER: Readonly<Record<BoxKind, number>> = { token: 0, feature: 1, mixed: 1, error: 1, target: 2 };

function byPlace(a: PaperBox, b: PaperBox): number {
  const least = (box: PaperBox, field: 'position' | 'layer'): number =>
    box.members.reduce((low, member) => Math.min(low, member[field] ?? -1), Infinity);
  return a.kind === 'target'
    ? 0
    : least(a, 'position') - least(b, 'position') || least(a, 'layer') - least(b, 'layer');
}

async function memberOf(
  { pruned: { graph }, idOf, viewer }: OpenedGraph,
  node: number,
  clerps: Readonly<Record<string, string>>,
  source: FeatureSource,
): Promise<PaperMember> {
  const id = idOf(node);
  const place = graph.layout.describe(node);
  const common = {
    id,
    layer: null,
    feature: null,
    activation: null,
    influence: graph.node_influence[node]!,
    label: labelOfNode(clerps[id]),
    examples: [],
  };
  const tokenAt = (position: number): string => graph.provenance.token_strings[position]!;
  switch (place.kind) {
    case 'feature': {
      const { layer, feature, position, activation } = featureOf(graph, node);
      const [page, label] = await Promise.all([source.page(layer, feature), source.label(layer, feature)]);
      const isKnown = viewer === undefined || activation !== 0;
      return {
        ...common,
        kind: 'feature',
        ...{ layer, feature, position },
        token: tokenAt(position),
        activation: isKnown ? activation : null,
        label: common.label ?? (label && { text: label.text, origin: label.origin }),
        examples: page === null ? [] : examplesOf(page),
      };
    }
    case 'error':
      return {
        ...common,
        kind: 'error',
        layer: place.layer,
        position: place.position,
        token: tokenAt(place.position),
      };
    case 'token':
      return { ...common, kind: 'token', position: place.position, token: tokenAt(place.position) };
    case 'logit':
      return {
        ...common,
        kind: 'target',
        position: graph.layout.n_pos - 1,
        token: graph.provenance.logit_labels[place.logit]!,
        influence: null,
      };
    default:
      return unreachable(place);
  }
}

function labelOfNode(text: string | undefined): PaperLabel | null {
  return text === undefined || text === '' ? null : { text, origin: 'edited' };
}

/** Of the strongest texts, the tokens around the one that the feature is most active on. */
function examplesOf({ examples_quantiles }: FeaturePage): PaperExample[] {
  const strongest = examples_quantiles[0]?.examples ?? []; // the strongest come first
  return strongest.slice(0, EXAMPLES).map(({ tokens, tokens_acts_list, train_token_ind }) => {
    const largest = tokens_acts_list.reduce(
      (best, value, i) => (value > (tokens_acts_list[best] ?? 0) ? i : best),
      0,
    );
    const at = (tokens_acts_list[train_token_ind] ?? 0) > 0 ? train_token_ind : largest;
    const [start, stop] = [Math.max(0, at - AROUND), Math.min(tokens.length, at + AROUND + 1)];
    const is_cut = { before: start > 0, after: stop < tokens.length };
    return { tokens: tokens.slice(start, stop), strongest: at - start, is_cut };
  });
}

/** The features among some nodes. */
export function featuresAmong({ layout }: GraphNodes, nodes: readonly number[]): number[] {
  return nodes.filter((node) => node < layout.n_features);
}
