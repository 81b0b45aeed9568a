/**
 * Picture: scores of a pruned graph, or of its pinned features, defined as in `graph/scores.ts`. Pruned edges are missing, so the
 * numbers are those of the pruned graph.
 */

import { leadsUp, topDown } from './influence.ts';
import type { PictureGraph } from './picture-graph.ts';
import { indexOf, inputsOf } from './picture.ts';

export interface PictureScores {
  /** Share of the influence arriving at tokens and errors that arrives at tokens, 0 to 1. */
  readonly replacement: number;
  /** Share of inputs that come from features and tokens, weighted by influence, 0 to 1. */
  readonly completeness: number;
}

export function pictureScores(picture: PictureGraph): PictureScores {
  return scores(picture, new Uint8Array(picture.nodes.length).fill(1));
}

/** Features that are not pinned count as reconstruction error of their layer and position. */
export function pinnedScores(picture: PictureGraph, pinnedIds: Iterable<string>): PictureScores {
  const told = Uint8Array.from(picture.nodes, ({ kind }) => +(kind !== 'feature'));
  for (const id of pinnedIds) {
    const index = indexOf(picture, id);
    if (index !== undefined) told[index] = 1;
  }
  return scores(picture, told);
}

/** Inputs of a node, with those merged that count as the same error. */
interface Merged {
  /** |weight| by node. */
  readonly told: ReadonlyMap<number, number>;
  readonly errorSum: number;
  readonly sum: number;
}

function scores(picture: PictureGraph, told: Uint8Array): PictureScores {
  const { nodes } = picture;
  const mass = Float64Array.from(nodes, ({ probability }) => probability ?? 0);
  let errors = 0;
  let output = 0;
  let complete = 0;
  for (const node of topDown(nodes)) {
    const { kind } = nodes[node]!;
    const passedOn = mass[node]!;
    if (passedOn === 0 || kind === 'embedding' || kind === 'error') continue;
    const inputs = mergedInputs(picture, node, told);
    output += passedOn;
    complete += passedOn * (inputs.sum === 0 ? 1 : 1 - inputs.errorSum / inputs.sum);
    if (inputs.sum === 0) continue;
    for (const [from, weight] of inputs.told) mass[from]! += (passedOn * weight) / inputs.sum;
    errors += (passedOn * inputs.errorSum) / inputs.sum;
  }
  const tokens = nodes.reduce((sum, { kind, index }) => sum + (kind === 'embedding' ? mass[index]! : 0), 0);
  const ends = tokens + errors; // nodes without inputs: complete
  return { replacement: ratio(tokens, ends), completeness: ratio(complete + ends, output + ends) };
}

function mergedInputs(picture: PictureGraph, node: number, told: Uint8Array): Merged {
  const { nodes, source, weight, tokens } = picture;
  const known = new Map<number, number>();
  const errors = new Map<number, number>();
  for (const link of inputsOf(picture, node)) {
    const from = nodes[source[link]!]!;
    if (!leadsUp(from, nodes[node]!)) continue;
    if (from.kind !== 'error' && told[from.index] === 1) add(known, from.index, Math.abs(weight[link]!));
    else {
      add(errors, from.row * tokens.length + from.position, weight[link]!);
    }
  }
  const errorSum = sumOf(errors);
  return { told: known, errorSum, sum: errorSum + sumOf(known) };
}

function add(sums: Map<number, number>, key: number, weight: number): void {
  sums.set(key, (sums.get(key) ?? 0) + weight);
}

function sumOf(weights: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const weight of weights.values()) sum += Math.abs(weight);
  return sum;
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
