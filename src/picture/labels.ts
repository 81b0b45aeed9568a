/** Picture, text: labels and descriptions of nodes, and search in them. */

import { unreachable } from '../errors.ts';
import { plural } from '../plural.ts';
import type { PictureGraph } from './picture-graph.ts';
import { inputsOf, outputsOf, rowName } from './picture.ts';
import type { Visible } from './visible.ts';

/** Label of a node by its index. */
export type LabelOf = (index: number) => string;

/** The label that a person gave the node, else that of its feature, else that of the file, else a name made of its numbers. */
export function labelsFrom(
  picture: PictureGraph,
  clerps: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): LabelOf {
  const ofNode = new Map(Object.entries(clerps));
  const ofFeature = new Map(Object.entries(labels));
  return (index) => {
    const { id, layer, feature } = picture.nodes[index]!;
    const known = ofNode.get(id) ?? (feature === null ? undefined : ofFeature.get(`${layer}_${feature}`));
    return known === undefined || known === '' ? defaultLabel(picture, index) : known;
  };
}

/** The label of the file, else a name made of its numbers: `20/15589`, `error 20`, `" Dallas"`. */
export function defaultLabel({ nodes }: PictureGraph, index: number): string {
  const { kind, clerp, layer, feature, token, id } = nodes[index]!;
  if (clerp !== '') return clerp;
  switch (kind) {
    case 'feature':
      return feature === null ? id : `${layer}/${feature}`;
    case 'error':
      return `error ${layer}`;
    case 'embedding':
    case 'logit':
      return JSON.stringify(token);
    default:
      return unreachable(kind);
  }
}

const DIGITS = 3;

/** A description for screen readers and tooltips. */
export function describeNode(picture: PictureGraph, index: number, labelOf?: LabelOf): string {
  const node = picture.nodes[index]!;
  const label = labelOf?.(index) ?? defaultLabel(picture, index);
  const named = label === numberName(picture, index) ? label : `${label}, ${numberName(picture, index)}`;
  const facts = [
    `${named}, at token ${node.position} ${JSON.stringify(picture.tokens[node.position])}`,
    ...(node.activation === null ? [] : [`activation ${short(node.activation)}`]),
    ...(node.probability === null ? [] : [`probability ${short(node.probability)}`]),
    `${plural(inputsOf(picture, index).length, 'input')}, ${plural(outputsOf(picture, index).length, 'output')}`,
  ];
  return facts.join('; ');
}

/** Without any label: kind and numbers. */
function numberName(picture: PictureGraph, index: number): string {
  const { kind, layer, feature, token, row, id } = picture.nodes[index]!;
  switch (kind) {
    case 'feature':
      return feature === null ? `feature ${id}` : `feature ${layer}/${feature}`;
    case 'error':
      return `error of layer ${layer}`;
    case 'embedding':
      return `embedding of ${JSON.stringify(token)}`;
    case 'logit':
      return `${rowName(picture, row).toLowerCase()} ${JSON.stringify(token)}`;
    default:
      return unreachable(kind);
  }
}

/** Nodes whose label, token or id contains all words of the text, ignoring case; in node order. */
export function searchNodes(
  picture: PictureGraph,
  text: string,
  labelOf: LabelOf,
  visible?: Visible,
): number[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  return picture.nodes.flatMap(({ index, id, kind, token, layer, feature }) => {
    if (visible !== undefined && visible.nodes[index] === 0) return [];
    const names = feature === null ? [] : [`${layer}/${feature}`];
    const hay = [labelOf(index), token, id, kind, ...names].join('\n').toLowerCase();
    return words.every((word) => hay.includes(word)) ? [index] : [];
  });
}

/** A number in short form. */
export function short(value: number): string {
  return String(Number(value.toPrecision(DIGITS)));
}
