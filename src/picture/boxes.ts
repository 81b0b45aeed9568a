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

/** Where along a link its label is tried, the middle first. */
const LABEL_PLACES = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82];

/**
 * Centre of a link's label on its curve, where no box covers it; the middle if there is no such place.
 * @param label size in pixels
 * @param places centres of all boxes
 */
export function linkLabelPlace(
  from: Point,
  to: Point,
  box: Pick<Box, 'width' | 'height'>,
  label: { readonly width: number; readonly height: number },
  places: readonly Point[],
): Point {
  const tried = pointsOnLink(from, to, box.height);
  return tried.find((point) => isFreeOf(point, label, places, box)) ?? tried[0]!;
}

/** Where along a link a label may stand, the middle first. */
export function pointsOnLink(from: Point, to: Point, boxHeight: number): Point[] {
  const curve = curvePoints(from, to, boxHeight);
  return LABEL_PLACES.map((part) => pointOn(curve, part));
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Whether something of a size around a point overlaps none of the things of another size around their centres. */
export function isFreeOf({ x, y }: Point, own: Size, centres: readonly Point[], size: Size): boolean {
  return centres.every(
    (other) =>
      Math.abs(other.x - x) >= (size.width + own.width) / 2 ||
      Math.abs(other.y - y) >= (size.height + own.height) / 2,
  );
}

/** Of a cubic Bézier curve. */
function pointOn([start, first, second, end]: readonly [Point, Point, Point, Point], part: number): Point {
  const rest = 1 - part;
  const mix = (a: number, b: number, c: number, d: number): number =>
    rest ** 3 * a + 3 * rest ** 2 * part * b + 3 * rest * part ** 2 * c + part ** 3 * d;
  return {
    x: mix(start.x, first.x, second.x, end.x),
    y: mix(start.y, first.y, second.y, end.y),
  };
}

/** A curve from the upper edge of the source to the lower edge of the target, vertical at both ends. */
export function linkCurve(from: Point, to: Point, boxHeight: number): string {
  const [start, first, second, end] = curvePoints(from, to, boxHeight).map(
    ({ x, y }) => `${round(x)} ${round(y)}`,
  ) as [string, string, string, string];
  return `M${start}C${first} ${second} ${end}`;
}

function curvePoints(from: Point, to: Point, boxHeight: number): [Point, Point, Point, Point] {
  const up = from.y >= to.y ? 1 : -1;
  const [y0, y1] = [from.y - (up * boxHeight) / 2, to.y + (up * boxHeight) / 2];
  const bend = Math.max(Math.abs(y1 - y0) / 2, boxHeight / 2) * up;
  return [
    { x: from.x, y: y0 },
    { x: from.x, y: y0 - bend },
    { x: to.x, y: y1 + bend },
    { x: to.x, y: y1 },
  ];
}
