/** Picture, subgraph: measures of boxes and the curves between them, the same in the page and as SVG. */

import { round } from './marks.ts';
import type { Place } from './place-subgraph.ts';

export interface Box {
  readonly width: number;
  readonly height: number;
  /** Letters on a line, and lines. */
  readonly letters: number;
  readonly lines: number;
}

/** Width of an average letter, in units. */
const LETTER_UNITS = 0.54;
const LINES = 2;
/** In units: a box is readable, but never takes more than a part of its panel. */
const WIDTH_UNITS = { least: 6, most: 12.5, padding: 0.9 } as const;
const HEIGHT_UNITS = 3.1;
const PART_OF_PANEL = 0.22;

/** The box of a panel, in pixels; `unit` is the height of its font. */
export function boxSize(panel: { readonly width: number }, unit: number): Box {
  const wanted = panel.width * PART_OF_PANEL;
  const width = Math.min(WIDTH_UNITS.most * unit, Math.max(WIDTH_UNITS.least * unit, wanted));
  const letters = Math.max(4, Math.floor((width - WIDTH_UNITS.padding * unit) / (LETTER_UNITS * unit)));
  return { width, height: HEIGHT_UNITS * unit, letters, lines: LINES };
}

/** From the upper edge of the source to the lower edge of the target, bent upright at both ends. */
export function linkCurve(from: Place, to: Place, boxHeight: number): string {
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
