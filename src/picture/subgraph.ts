/** Picture, subgraph: pinned nodes as boxes, supernodes as one box each, links between boxes with summed weights. */

import type { LabelOf } from './labels.ts';
import type { PictureGraph } from './picture-graph.ts';
import { indexOf, inputsOf } from './picture.ts';

/** Each: its name, then node ids, as in `qParams`. */
export type Supernodes = readonly (readonly string[])[];

export interface SubgraphNode {
  /** The id of the node, or `supernode-N` with its index in the list. */
  readonly key: string;
  /** Index in the list of supernodes; null for a single node. */
  readonly supernode: number | null;
  readonly name: string;
  /** Indices of the pinned nodes, in the order of the supernode. */
  readonly members: readonly number[];
}

export interface SubgraphLink {
  /** Indices in `nodes`. */
  readonly source: number;
  readonly target: number;
  /** Sum of the weights of all links between members. */
  readonly weight: number;
  /**
   * Signed share in the inputs that the target's members have from outside: the share of each member, weighted by the part of its
   * input that comes from outside. The page of the attribution-graphs papers draws the same.
   */
  readonly share: number;
}

export interface SubgraphPicture {
  readonly nodes: readonly SubgraphNode[];
  /** By ascending share. */
  readonly links: readonly SubgraphLink[];
}

export function supernodeKey(supernode: number): string {
  return `supernode-${supernode}`;
}

/** Index in the list of supernodes for a key; null for ids of nodes. */
export function supernodeOf(key: string): number | null {
  const place = /^supernode-(\d+)$/.exec(key)?.[1];
  return place === undefined ? null : Number(place);
}

/** The pinned nodes with their groups. Unknown ids are left out; a node in two supernodes belongs to the last. */
export function supernodeView(
  picture: PictureGraph,
  pinnedIds: readonly string[],
  supernodes: Supernodes,
  labelOf: LabelOf,
): SubgraphPicture {
  const pinned = new Set(indices(picture, pinnedIds));
  const groupOf = new Map<number, number>();
  const groups = supernodes.map(([, ...ids]) => indices(picture, ids).filter((index) => pinned.has(index)));
  for (const [place, members] of groups.entries()) for (const index of members) groupOf.set(index, place);
  const singles = [...pinned].filter((index) => !groupOf.has(index));
  const nodes: SubgraphNode[] = [
    ...singles.map((index) => ({
      key: picture.nodes[index]!.id,
      supernode: null,
      name: labelOf(index),
      members: [index],
    })),
    ...supernodes.flatMap(([name = ''], place) => {
      const members = [...new Set(groups[place])].filter((index) => groupOf.get(index) === place);
      return members.length === 0 ? [] : [{ key: supernodeKey(place), supernode: place, name, members }];
    }),
  ];
  return { nodes, links: linksBetween(picture, nodes) };
}

function linksBetween(picture: PictureGraph, nodes: readonly SubgraphNode[]): SubgraphLink[] {
  const boxOf = new Map<number, number>();
  for (const [box, { members }] of nodes.entries()) for (const member of members) boxOf.set(member, box);
  const sums = new Map<string, { source: number; target: number; weight: number; share: number }>();
  for (const [target, { members }] of nodes.entries()) {
    const outside = members.map((member) => outsideSum(picture, member, boxOf, target));
    // A member with most of its input from inside the group contributes little to the inputs of the group.
    const open = members.map((member, i) => ratio(outside[i]!, picture.inputSum[member]!));
    const openSum = open.reduce((sum, value) => sum + value, 0);
    for (const [i, member] of members.entries()) {
      for (const link of inputsOf(picture, member)) {
        const source = boxOf.get(picture.source[link]!);
        if (source === undefined || source === target) continue;
        const key = `${source}-${target}`;
        const sum = sums.get(key) ?? { source, target, weight: 0, share: 0 };
        sum.weight += picture.weight[link]!;
        sum.share += ratio(picture.weight[link]!, outside[i]!) * ratio(open[i]!, openSum);
        sums.set(key, sum);
      }
    }
  }
  return [...sums.values()].sort((a, b) => Math.abs(a.share) - Math.abs(b.share));
}

/** Sum of |weight| over the inputs of a member that come from outside its box. */
function outsideSum(
  picture: PictureGraph,
  member: number,
  boxOf: ReadonlyMap<number, number>,
  box: number,
): number {
  let sum = 0;
  for (const link of inputsOf(picture, member)) {
    if (boxOf.get(picture.source[link]!) !== box) sum += Math.abs(picture.weight[link]!);
  }
  return sum;
}

function indices(picture: PictureGraph, ids: readonly string[]): number[] {
  return ids.flatMap((id) => indexOf(picture, id) ?? []);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
