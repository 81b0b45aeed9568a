/** Picture, subgraph: sizes of boxes and the curves between them, for the page and for SVG. */

import { round } from './marks.ts';
import type { PictureGraph } from './picture-graph.ts';
import { rowName } from './picture.ts';
import { SPACED, type Point } from './place-subgraph.ts';
import { shownLabel, shownToken } from './shown.ts';
import type { SubgraphNode } from './subgraph.ts';

export interface Box {
  readonly width: number;
  readonly height: number;
  /** Letters per line of the label, and number of lines. */
  readonly letters: number;
  readonly lines: number;
  /** Letters of the caption under the label. */
  readonly captionLetters: number;
}

/** In units: font sizes, line height, and the offset of the first line from the middle. */
export const BOX_TEXT = {
  label: 0.95,
  caption: 0.78,
  line: 1.08,
  firstLine: (labels: number): number => 0.32 - (labels * 1.08) / 2,
} as const;

/** Width of an average letter, in units. */
const LETTER_UNITS = 0.54;
/** Limits and padding of the width, in units. */
const WIDTH_UNITS = { least: 6, most: 12.5, padding: 0.9 } as const;
/** Height in units by the number of label lines above the caption. */
const HEIGHTS = [
  { lines: 2, units: 3.6 },
  { lines: 1, units: 2.55 },
] as const;
const PART_OF_PANEL = 0.22;

/** Size of the boxes in a panel, in pixels; `unit` is the font size. With many rows of boxes, boxes are lower. */
export function boxSize(
  panel: { readonly width: number; readonly height: number },
  unit: number,
  rows: number,
): Box {
  const fits = HEIGHTS.find(({ units }) => rows * units * unit * SPACED.apart <= panel.height);
  const { lines, units } = fits ?? HEIGHTS[HEIGHTS.length - 1]!;
  const wanted = panel.width * PART_OF_PANEL;
  const width = Math.min(WIDTH_UNITS.most * unit, Math.max(WIDTH_UNITS.least * unit, wanted));
  const lettersOf = (size: number): number =>
    Math.max(4, Math.floor((width - WIDTH_UNITS.padding * unit) / (LETTER_UNITS * unit * size)));
  return {
    width,
    height: units * unit,
    letters: lettersOf(BOX_TEXT.label),
    lines,
    captionLetters: lettersOf(BOX_TEXT.caption),
  };
}

/** Layers and positions of the members of a box, which distinguish boxes of the same label. */
export function boxCaption(picture: PictureGraph, { members }: SubgraphNode, mostLetters: number): string {
  const nodes = members.map((index) => picture.nodes[index]!);
  const [first] = nodes;
  if (first === undefined) return '';
  if (nodes.length === 1) {
    const row = rowName(picture, first.row);
    const letters = mostLetters - row.length - 1;
    return first.kind === 'logit' ? row : `${row} ${shownToken(first.token, letters)}`;
  }
  const low = nodes.reduce((least, { row }) => Math.min(least, row), Infinity);
  const high = nodes.reduce((most, { row }) => Math.max(most, row), -Infinity);
  const layers = low === high ? rowName(picture, low) : `${rowName(picture, low)}–${rowName(picture, high)}`;
  return shownLabel(`${nodes.length} nodes, ${layers}`, mostLetters);
}

/** A curve from the upper edge of the source to the lower edge of the target, vertical at both ends. */
export function linkCurve(from: Point, to: Point, boxHeight: number): string {
  const up = from.y >= to.y ? 1 : -1;
  const [y0, y1] = [from.y - (up * boxHeight) / 2, to.y + (up * boxHeight) / 2];
  const bend = Math.max(Math.abs(y1 - y0) / 2, boxHeight / 2) * up;
  const points = [from.x, y0, from.x, y0 - bend, to.x, y1 + bend, to.x, y1].map(round) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [a, b, c, d, e, f, g, h] = points;
  return `M${a} ${b}C${c} ${d} ${e} ${f} ${g} ${h}`;
}
