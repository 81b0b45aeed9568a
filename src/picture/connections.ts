/** Picture: inputs and outputs of a node, the strongest first. */

import type { PictureGraph } from './picture-graph.ts';
import { inputsOf, outputsOf } from './picture.ts';
import type { Visible } from './visible.ts';

export interface Connection {
  /** The node at the other end. */
  readonly index: number;
  readonly link: number;
  readonly weight: number;
  /** Among all inputs of the link's target, with the sign of the weight: -1 to 1. */
  readonly share: number;
  /** Share of this link in the influence of all links of the list, 0 to 1. */
  readonly influence: number;
}

export interface Connections {
  readonly inputs: readonly Connection[];
  readonly outputs: readonly Connection[];
}

/** Inputs and outputs of a node by falling |weight|; with `visible`, only the visible ones. */
export function connectionsOf(picture: PictureGraph, index: number, visible?: Visible): Connections {
  const { source, target } = picture;
  return {
    inputs: list(picture, inputsOf(picture, index), source, visible),
    outputs: list(picture, outputsOf(picture, index), target, visible),
  };
}

/** Share of a link among all inputs of its target, with the sign of its weight. */
export function signedShare({ target, weight, inputSum }: PictureGraph, link: number): number {
  const sum = inputSum[target[link]!]!;
  return sum === 0 ? 0 : weight[link]! / sum;
}

function list(
  picture: PictureGraph,
  links: Int32Array,
  otherEnd: Int32Array,
  visible: Visible | undefined,
): Connection[] {
  const seen = Array.from(links).filter((link) => visible === undefined || visible.links[link] === 1);
  const total = seen.reduce((sum, link) => sum + picture.linkInfluence[link]!, 0);
  return seen.map((link) => ({
    index: otherEnd[link]!,
    link,
    weight: picture.weight[link]!,
    share: signedShare(picture, link),
    influence: total === 0 ? 0 : picture.linkInfluence[link]! / total,
  }));
}
