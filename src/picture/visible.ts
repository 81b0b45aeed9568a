/** Picture, step 2: which nodes and links are visible at a pair of thresholds. Fast enough to follow a slider. */

import { shareBefore } from './influence.ts';
import type { PictureGraph } from './picture-graph.ts';

export interface Visible {
  /** 1 for visible nodes. */
  readonly nodes: Uint8Array;
  readonly links: Uint8Array;
  readonly nodeCount: number;
  readonly linkCount: number;
  /** 1 for links above the threshold, also those with an invisible end: they become visible when both ends are kept. */
  readonly strong: Uint8Array;
}

/** Computed once a picture: it does not depend on the thresholds. */
interface Shares {
  readonly nodes: Float64Array;
  readonly links: Float64Array;
}
const sharesOf = new WeakMap<PictureGraph, Shares>();

/**
 * Prunes the graph further than its file. Nodes: by the cumulative influence in the file, as `pruneGraph` does. Links: those that
 * hold `edgeThreshold` of the influence, if the links of the file hold its own threshold. Then dead ends are removed. Smaller
 * thresholds show a subset of what larger ones show; those of the file show all of it.
 */
export function visibleAt(picture: PictureGraph, nodeThreshold: number, edgeThreshold: number): Visible {
  const shares = sharesOf.get(picture) ?? sharesFor(picture);
  sharesOf.set(picture, shares);
  const allNodes = nodeThreshold >= picture.nodeThreshold;
  const allLinks = edgeThreshold >= picture.edgeThreshold;
  const ofFile = edgeThreshold / picture.edgeThreshold;
  const nodes = Uint8Array.from(shares.nodes, (share) => +(allNodes || share === 0 || share < nodeThreshold));
  const strong = Uint8Array.from(shares.links, (share) => +(allLinks || share === 0 || share < ofFile));
  // Everything in the file is kept at its own thresholds, also dead ends that other programs leave.
  if (!allNodes || !allLinks) dropDeadEnds(picture, nodes, strong);
  return seen(picture, nodes, strong);
}

/** The same with some nodes, such as pinned ones, kept in any case. */
export function keepVisible(picture: PictureGraph, visible: Visible, indices: Iterable<number>): Visible {
  const nodes = visible.nodes.slice();
  let added = false;
  for (const index of indices) {
    added ||= nodes[index] === 0;
    nodes[index] = 1;
  }
  return added ? seen(picture, nodes, visible.strong) : visible;
}

function seen({ source, target }: PictureGraph, nodes: Uint8Array, strong: Uint8Array): Visible {
  const links = strong.map((kept, link) => kept & nodes[source[link]!]! & nodes[target[link]!]!);
  return { nodes, links, strong, nodeCount: count(nodes), linkCount: count(links) };
}

/** Influence of all more important nodes; 0 for nodes that are always visible. */
function sharesFor({ nodes, linkInfluence }: PictureGraph): Shares {
  const cumulative = nodes.flatMap(({ influence }) => influence ?? []).sort((a, b) => a - b);
  const before = new Map<number, number>();
  let last = 0;
  for (const share of cumulative) {
    if (!before.has(share)) before.set(share, last);
    last = share;
  }
  return {
    nodes: Float64Array.from(nodes, ({ kind, influence }) =>
      kind === 'embedding' || kind === 'logit' || influence === null ? 0 : before.get(influence)!,
    ),
    links: shareBefore(linkInfluence),
  };
}

/** Removes, until nothing changes, features and errors without outputs and features without inputs, as pruning does. */
function dropDeadEnds(picture: PictureGraph, kept: Uint8Array, strong: Uint8Array): void {
  const { nodes, source, target, inputStart, inputLinks, outputStart, outputLinks } = picture;
  const inputs = new Int32Array(nodes.length);
  const outputs = new Int32Array(nodes.length);
  strong.forEach((isStrong, link) => {
    if ((isStrong & kept[source[link]!]! & kept[target[link]!]!) === 0) return;
    outputs[source[link]!]!++;
    inputs[target[link]!]!++;
  });
  const isDead = (node: number): boolean => {
    const { kind } = nodes[node]!;
    if (kept[node] === 0 || kind === 'embedding' || kind === 'logit') return false;
    return outputs[node] === 0 || (kind === 'feature' && inputs[node] === 0);
  };
  const dead = Array.from(nodes.keys()).filter(isDead);
  for (let node = dead.pop(); node !== undefined; node = dead.pop()) {
    if (kept[node] === 0) continue;
    kept[node] = 0;
    for (let i = inputStart[node]!; i < inputStart[node + 1]!; i++) {
      const from = source[inputLinks[i]!]!;
      if (strong[inputLinks[i]!] === 0 || kept[from] === 0) continue;
      outputs[from]!--;
      if (isDead(from)) dead.push(from);
    }
    for (let i = outputStart[node]!; i < outputStart[node + 1]!; i++) {
      const to = target[outputLinks[i]!]!;
      if (strong[outputLinks[i]!] === 0 || kept[to] === 0) continue;
      inputs[to]!--;
      if (isDead(to)) dead.push(to);
    }
  }
}

function count(mask: Uint8Array): number {
  return mask.reduce((sum, kept) => sum + kept, 0);
}
