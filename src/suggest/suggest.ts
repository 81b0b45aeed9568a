/** Suggest: a circuit of a few named boxes, to begin with. Chooses nodes, groups features, names the groups, and scores them. */
import { featureOf } from '../graph/graph.ts';
import { spreadInfluence } from '../graph/influence.ts';
import { subgraphScores, type GraphScores } from '../graph/scores.ts';
import { linksOfBoxes, type BoxLink } from './box-links.ts';
import type { Choice } from './choose.ts';
import { groupsOf, reasonOf, type GroupReason } from './group.ts';
import { labelWords } from './label-words.ts';
import { likenesses } from './likeness.ts';
import type { SuggestLimits } from './limits.ts';
import { exampleWords } from './example-words.ts';
import type { KnownFeatures } from './known.ts';
import { nameOfGroup, withoutRepetition } from './name.ts';
import { sharedWords, withSharedWords, type SharedWord } from './shared-words.ts';
import { nameOfToken, wordsWithin } from './words.ts';

export interface SuggestedBox {
  /** No two boxes have one. */
  readonly name: string;
  readonly kind: 'feature' | 'token' | 'logit';
  /** Ids of nodes, the most influential first. */
  readonly ids: readonly string[];
  /** First and last position, and layer; layers are null for tokens and logits. */
  readonly positions: readonly [first: number, last: number];
  readonly layers: readonly [first: number, last: number] | null;
  /** Sum over its nodes, in the whole graph; 0 for logits. */
  readonly influence: number;
  /** Why its features are one box; null for a single node. */
  readonly why: GroupReason | null;
}

export interface SuggestedCircuit {
  /** Tokens by position, features by position and layer, logits. */
  readonly boxes: readonly SuggestedBox[];
  readonly links: readonly BoxLink[];
  readonly n_features: number;
  /** Groups that were chosen but had no room, the less influential ones. */
  readonly left_out: { readonly n_boxes: number; readonly n_features: number };
  readonly scores: GraphScores;
}

interface Draft extends Omit<SuggestedBox, 'ids'> {
  readonly nodes: readonly number[];
  /** Words that its features' examples have in common; none where the name says all. */
  readonly shared: readonly SharedWord[];
}

/** @param idOf the id of a node of the whole graph */
export function circuitOf(
  choice: Choice,
  idOf: (node: number) => string,
  known: KnownFeatures,
  { maxBoxes }: SuggestLimits,
): SuggestedCircuit {
  const { small, whole, tokens, logits } = choice;
  const groups = featureGroups(choice, known);
  const room = maxBoxes - tokens.length - logits.length;
  const all = groups(room).sort((a, b) => b.influence - a.influence || a.nodes[0]! - b.nodes[0]!);
  const kept = all.slice(0, room).sort(byPlace);
  const drafts = [...tokenBoxes(choice), ...kept, ...logitBoxes(choice)];
  const names = withoutRepetition(withSharedWords(drafts));
  const pinned = kept.flatMap(({ nodes }) => nodes);
  const lost = all.slice(room);
  return {
    boxes: drafts.map(({ nodes, shared: _, ...box }, i) => ({
      ...box,
      name: names[i]!,
      ids: nodes.map((node) => idOf(whole[node]!)),
    })),
    links: linksOfBoxes(
      small,
      drafts.map(({ nodes }) => nodes),
    ),
    n_features: pinned.length,
    left_out: { n_boxes: lost.length, n_features: lost.reduce((sum, { nodes }) => sum + nodes.length, 0) },
    scores: subgraphScores(small, pinned),
  };
}

/** Makes the groups for a number of boxes, which may be exceeded. */
function featureGroups(choice: Choice, { labels, examples }: KnownFeatures): (most: number) => Draft[] {
  const { small, features, influence, logits } = choice;
  const places = features.map((node) => featureOf(small, node));
  const keys = places.map(({ layer, feature }) => `${layer}_${feature}`);
  const words = labelWords(keys.map((key) => labels[key]));
  const { shares, frequency } = exampleWords(keys.map((key) => examples[key] ?? []));
  const told = toldWords(choice);
  const likeness = likenesses(small, features, words);
  const spread = spreadInfluence(small);
  return (most) =>
    groupsOf(likeness, most).map((group) => {
      const members = group.map((i) => ({
        node: features[i]!,
        influence: influence[features[i]!]!,
        words: words[i]!,
        shares: shares[i]!,
      }));
      const { text, isOpen } = nameOfGroup(small, spread, logits, members);
      return {
        name: text,
        shared: isOpen ? sharedWords(members, frequency, told) : [],
        kind: 'feature',
        nodes: members.map(({ node }) => node),
        positions: range(group.map((i) => places[i]!.position)),
        layers: range(group.map((i) => places[i]!.layer)),
        influence: members.reduce((sum, member) => sum + member.influence, 0),
        why: reasonOf(likeness, group),
      };
    });
}

/** Words of the prompt and of the answer, which tell nothing new. */
function toldWords({ small, logits }: Choice): Set<string> {
  const { token_strings, logit_labels } = small.provenance;
  const answers = logits.map((node) => logit_labels[node - small.layout.logits.start]!);
  return new Set([token_strings.join(''), ...answers].flatMap((text) => [...wordsWithin(text)]));
}

function tokenBoxes({ small, tokens, influence }: Choice): Draft[] {
  return tokens.map((node) => {
    const position = node - small.layout.tokens.start;
    return {
      name: nameOfToken(small.provenance.token_strings[position]!),
      shared: [],
      kind: 'token',
      nodes: [node],
      positions: [position, position],
      layers: null,
      influence: influence[node]!,
      why: null,
    };
  });
}

function logitBoxes({ small, logits }: Choice): Draft[] {
  const last = small.layout.n_pos - 1;
  return logits.map((node) => ({
    name: nameOfToken(small.provenance.logit_labels[node - small.layout.logits.start]!),
    shared: [],
    kind: 'logit',
    nodes: [node],
    positions: [last, last],
    layers: null,
    influence: 0,
    why: null,
  }));
}

function byPlace(a: Draft, b: Draft): number {
  const [first, second] = [a, b].map(({ positions, layers, nodes }) => [positions[0], layers![0], nodes[0]!]);
  return first![0]! - second![0]! || first![1]! - second![1]! || first![2]! - second![2]!;
}

function range(values: readonly number[]): [first: number, last: number] {
  return values.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  );
}
