/**
 * Suggest, step 2: how much alike two features are in what they do. A graph file has no decoder directions, but a link is a
 * product with one: features that write the same way have parallel links to everything that reads them.
 */
import { featureOf, type Graph } from '../graph/graph.ts';
import { outputInfluence, spreadInfluence } from '../graph/influence.ts';
import { wordLikeness, type LabelWords } from './label-words.ts';

/** Labels so much alike join features of other positions: what a token is, and what is carried on from there. */
const SAME_LABEL = 0.5;
/** Added to the distance of features of other positions: more than any other distance. */
export const OTHER_PLACE = 2;

export interface Likeness {
  /** Cosine of the signed links in and of those out, each target weighted by its influence; -1 to 1. */
  readonly links_in: number;
  readonly links_out: number;
  /** Cosine of the rare words of their labels; null without. */
  readonly labels: number | null;
  /** At one position, or one feature, or labels that say the same. */
  readonly is_same_place: boolean;
}

/** @param words of each node, in the order of `nodes` */
export function likenesses(
  small: Graph,
  nodes: readonly number[],
  words: readonly LabelWords[],
): Likeness[][] {
  const incoming = nodes.map((node) => linksIn(small, node));
  const outgoing = linksOut(small, nodes);
  const places = nodes.map((node) => featureOf(small, node));
  const rows: Likeness[][] = nodes.map(() => []);
  nodes.forEach((node, i) => {
    for (let j = 0; j <= i; j++) {
      const [a, b] = [places[i]!, places[j]!];
      const isFeature = a.layer === b.layer && a.feature === b.feature;
      const labels = isFeature ? 1 : wordLikeness(words[i]!, words[j]!);
      const likeness: Likeness = {
        // Links between the two are no likeness of either.
        links_in: cosine(incoming[i]!, incoming[j]!, [node, nodes[j]!]),
        links_out: cosine(outgoing[i]!, outgoing[j]!, [node, nodes[j]!]),
        labels,
        is_same_place: a.position === b.position || isFeature || (labels ?? 0) >= SAME_LABEL,
      };
      rows[i]![j] = likeness;
      rows[j]![i] = likeness;
    }
  });
  return rows;
}

/** 0 for features that do the same, 1 for unrelated ones, up to 2 for opposite ones; those of other places are `OTHER_PLACE` further apart. */
export function distanceOf({ links_in, links_out, labels, is_same_place }: Likeness): number {
  const links = 1 - (links_in + links_out) / 2;
  const near = labels === null ? links : (links + (1 - labels)) / 2;
  return is_same_place ? near : near + OTHER_PLACE;
}

function linksIn({ edges, layout }: Graph, node: number): Float64Array {
  return Float64Array.from(edges.subarray(node * layout.n_nodes, (node + 1) * layout.n_nodes));
}

/** By node, so that both kinds of links are indexed alike. */
function linksOut(small: Graph, nodes: readonly number[]): Float64Array[] {
  const { layout, edges } = small;
  const spread = spreadInfluence(small);
  const columns = nodes.map(() => new Float64Array(layout.n_nodes));
  for (let row = 0; row < layout.n_rows; row++) {
    const sum = spread.rowSums[row]!;
    if (sum === 0) continue;
    const scale = outputInfluence(small, spread.influence, row) / sum;
    nodes.forEach((node, i) => {
      columns[i]![layout.nodeOfRow(row)] = edges[row * layout.n_nodes + node]! * scale;
    });
  }
  return columns;
}

function cosine(a: Float64Array, b: Float64Array, without: readonly [number, number]): number {
  let [both, ofA, ofB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    if (i === without[0] || i === without[1]) continue;
    both += a[i]! * b[i]!;
    ofA += a[i]! * a[i]!;
    ofB += b[i]! * b[i]!;
  }
  return ofA === 0 || ofB === 0 ? 0 : both / Math.sqrt(ofA * ofB);
}
