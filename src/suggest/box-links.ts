/** Suggest, links between boxes. */
import { edgeWeight, type Graph } from '../graph/graph.ts';
import { outputInfluence, spreadInfluence, type Influence } from '../graph/influence.ts';

export interface BoxLink {
  /** Indices of boxes. */
  readonly source: number;
  readonly target: number;
  /** Sum of the links between their nodes. */
  readonly weight: number;
  /** Signed share of the target's inputs that it is, its nodes weighted by influence; -1 to 1. */
  readonly share: number;
}

/** Links between different boxes, those of the largest share first; boxes are lists of nodes. */
export function linksOfBoxes(small: Graph, boxes: readonly (readonly number[])[]): BoxLink[] {
  const spread = spreadInfluence(small);
  const links: BoxLink[] = [];
  for (const [target, targets] of boxes.entries()) {
    for (const [source, sources] of boxes.entries()) {
      if (source === target) continue;
      const link = linkOf(small, spread, sources, targets);
      if (link.weight !== 0) links.push({ source, target, ...link });
    }
  }
  return links.sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
}

/** Sum of the links from some nodes to others, and their signed share of the inputs of these. */
export function linkOf(
  small: Graph,
  { influence, rowSums }: Influence,
  sources: readonly number[],
  targets: readonly number[],
): { readonly weight: number; readonly share: number } {
  let [weight, share, passed] = [0, 0, 0];
  for (const target of targets) {
    const row = small.layout.rowOfNode(target);
    if (row < 0 || rowSums[row] === 0) continue;
    const own = sources.reduce((sum, source) => sum + edgeWeight(small, target, source), 0);
    const mass = outputInfluence(small, influence, row);
    weight += own;
    share += (own / rowSums[row]!) * mass;
    passed += mass;
  }
  return { weight, share: passed === 0 ? 0 : share / passed };
}
