/** Picture, step 3: positions of marks. Tokens along x, layers along y, marks of one cell side by side. */

import type { PictureGraph } from './picture-graph.ts';

/** Coordinates of the plot before zooming: x to the right, y down. */
export interface Layout {
  /** At least the given space, with its proportions; larger if marks would not fit. */
  readonly width: number;
  readonly height: number;
  /** Centre of each node's mark. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** Radius of all marks; no two centres are nearer than twice this. */
  readonly radius: number;
  /** Left edge of each column, and the right edge of the last one. */
  readonly columnStart: Float64Array;
  readonly rowHeight: number;
}

export interface Space {
  readonly width: number;
  readonly height: number;
  /** Height of a line of text, with which marks scale. Default 13. */
  readonly unit?: number;
}

const DEFAULT_UNIT = 13;
/** Radii in units; the largest that fits is used. */
const RADII = [0.42, 0.36, 0.3, 0.25, 0.21];
const SMALLEST_RADIUS = RADII.at(-1)!;
/** Free space between two marks, and at both sides of a column, in units. */
const GAP = 0.12;
const COLUMN_PADDING = 0.3;
/** Part of a row's height that marks may take. */
const ROW_FILL = 0.88;
/** Largest distance of marks in a cell, so that they are seen as one group. */
const LOOSEST = 1.7;
/** If marks do not fit, the plot is enlarged by this factor until they do. */
const GROWTH = 1.25;

/** Lays out all nodes, visible or not, so that changing thresholds moves no mark. */
export function layoutPicture(picture: PictureGraph, { width, height, unit = DEFAULT_UNIT }: Space): Layout {
  const space = { width: Math.max(1, width), height: Math.max(1, height) }; // a panel that is not shown yet has none
  const cells = cellsOf(picture);
  for (const radius of RADII) {
    const layout = tryLayout(picture, cells, space, radius * unit, unit);
    if (layout !== undefined) return layout;
  }
  for (let scale = GROWTH; ; scale *= GROWTH) {
    const larger = { width: space.width * scale, height: space.height * scale };
    const layout = tryLayout(picture, cells, larger, SMALLEST_RADIUS * unit, unit);
    if (layout !== undefined) return layout;
  }
}

/** Node indices by `row * columns + column`; the important ones first, errors last. */
function cellsOf({ nodes, tokens }: PictureGraph): Map<number, number[]> {
  const cells = new Map<number, number[]>();
  for (const { row, position, index } of nodes) {
    const cell = row * tokens.length + position;
    const members = cells.get(cell);
    if (members === undefined) cells.set(cell, [index]);
    else members.push(index);
  }
  const rank = (index: number): number => nodes[index]!.influence ?? 1;
  for (const members of cells.values()) {
    members.sort((a, b) => {
      const errors = +(nodes[a]!.kind === 'error') - +(nodes[b]!.kind === 'error');
      // Logits are sorted by probability already.
      return errors !== 0 || nodes[a]!.kind === 'logit' ? errors : rank(a) - rank(b) || a - b;
    });
  }
  return cells;
}

function tryLayout(
  picture: PictureGraph,
  cells: ReadonlyMap<number, readonly number[]>,
  { width, height }: { readonly width: number; readonly height: number },
  radius: number,
  unit: number,
): Layout | undefined {
  const columns = picture.tokens.length;
  const step = 2 * radius + GAP * unit;
  const rowHeight = height / picture.rowCount;
  const lines = Math.floor((rowHeight * ROW_FILL) / step);
  if (lines < 1) return undefined;
  const needed = new Float64Array(columns).fill(1);
  for (const [cell, members] of cells) {
    const column = cell % columns;
    needed[column] = Math.max(needed[column]!, Math.ceil(members.length / lines));
  }
  const padding = COLUMN_PADDING * unit;
  const least = needed.reduce((sum, marks) => sum + marks * step + padding, 0);
  if (least > width) return undefined;
  const columnStart = columnEdges(needed, step, padding, width - least);

  const x = new Float32Array(picture.nodes.length);
  const y = new Float32Array(picture.nodes.length);
  for (const [cell, members] of cells) {
    const column = cell % columns;
    const row = Math.floor(cell / columns);
    const left = columnStart[column]!;
    const free = columnStart[column + 1]! - left;
    spread(members, step, free - padding, (node, dx, dy) => {
      x[node] = left + free / 2 + dx;
      y[node] = height - (row + 0.5) * rowHeight + dy;
    });
  }
  return { width, height, x, y, radius, columnStart, rowHeight };
}

/** Distributes the remaining width over the columns by the square root of their need: columns with many marks get more. */
function columnEdges(needed: Float64Array, step: number, padding: number, spare: number): Float64Array {
  const roots = needed.map(Math.sqrt);
  const rootSum = roots.reduce((sum, root) => sum + root, 0);
  const edges = new Float64Array(needed.length + 1);
  needed.forEach((marks, i) => {
    edges[i + 1] = edges[i]! + marks * step + padding + (spare * roots[i]!) / rootSum;
  });
  return edges;
}

/** Arranges the marks of a cell in as few lines as its width allows, around its centre. */
function spread(
  members: readonly number[],
  step: number,
  width: number,
  put: (node: number, dx: number, dy: number) => void,
): void {
  // Half a thousandth: sums of widths are not exact.
  const perLineAtMost = Math.max(1, Math.floor(width / step + 0.0005));
  const lines = Math.ceil(members.length / perLineAtMost);
  const perLine = Math.ceil(members.length / lines);
  const across = Math.max(step, Math.min(width / perLine, LOOSEST * step));
  members.forEach((node, i) => {
    const line = Math.floor(i / perLine);
    const onLine = Math.min(perLine, members.length - line * perLine);
    put(node, ((i % perLine) - (onLine - 1) / 2) * across, (line - (lines - 1) / 2) * step);
  });
}
