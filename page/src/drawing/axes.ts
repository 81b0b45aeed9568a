/** Drawing: names of rows and tokens, which stay visible while the plot moves, and the stripes behind them. */
import type { Layout } from '../../../src/picture/layout.ts';
import type { PictureGraph } from '../../../src/picture/picture-graph.ts';
import { rowName } from '../../../src/picture/picture.ts';
import { shownToken } from '../../../src/picture/shown.ts';
import { FONT } from '../../../src/picture/svg.ts';
import type { Theme } from '../../../src/picture/theme.ts';
import type { Projection } from './projection.ts';

export interface AxesScene {
  readonly picture: PictureGraph;
  readonly projection: Projection;
  readonly theme: Theme;
  readonly unit: number;
  readonly width: number;
  readonly height: number;
  /** Column of the hovered node, which is highlighted. */
  readonly column: number | null;
}

const TOKEN_LETTERS = 13;
const SLANT = -Math.PI / 4;
/** Least distance between two names, in units. */
const LEAST_DISTANCE_UNITS = 1.05;

/** In units. */
const TOKEN_FONT = 0.92;
const TOKEN_PADDING = 0.6;
const TOKEN_DROP = 0.8;

function tokenFont(unit: number): string {
  return `${TOKEN_FONT * unit}px ${FONT}`;
}

function tokenNames({ tokens }: PictureGraph): string[] {
  return tokens.map((token) => shownToken(token, TOKEN_LETTERS));
}

/** Height of token names under the plot in pixels: `level` if they are horizontal, `slanted` if they do not fit horizontally. */
export function tokenMargins(
  context: CanvasRenderingContext2D,
  picture: PictureGraph,
  unit: number,
): { readonly level: number; readonly slanted: number; readonly widths: readonly number[] } {
  context.font = tokenFont(unit);
  const widths = tokenNames(picture).map((name) => context.measureText(name).width);
  const longest = widths.reduce((most, width) => Math.max(most, width), 0);
  return { level: 1.9 * unit, slanted: (longest + unit) * Math.SQRT1_2 + unit, widths };
}

/** Whether names of these widths fit into their columns horizontally, at `scale` pixels per unit of the layout. */
export function tokensFit(
  widths: readonly number[],
  { columnStart }: Layout,
  scale: number,
  unit: number,
): boolean {
  return widths.every(
    (width, i) => width + TOKEN_PADDING * unit <= (columnStart[i + 1]! - columnStart[i]!) * scale,
  );
}

export function drawGrid(context: CanvasRenderingContext2D, scene: AxesScene): void {
  const { picture, projection, theme } = scene;
  const { plot, layout } = projection;
  context.save();
  context.beginPath();
  context.rect(plot.left, plot.top, plot.width, plot.height);
  context.clip();
  context.fillStyle = theme.background;
  context.fillRect(plot.left, plot.top, plot.width, plot.height);
  context.fillStyle = theme.band;
  for (let row = 0; row < picture.rowCount; row += 2) {
    const top = projection.y(layout.height - (row + 1) * layout.rowHeight);
    context.fillRect(plot.left, top, plot.width, layout.rowHeight * projection.scale);
  }
  context.beginPath();
  for (const edge of layout.columnStart) {
    const x = Math.round(projection.x(edge)) + 0.5;
    context.moveTo(x, plot.top);
    context.lineTo(x, plot.top + plot.height);
  }
  context.strokeStyle = theme.grid;
  context.lineWidth = 1;
  context.stroke();
  context.restore();
}

/** Clears the margins and writes the names into them. */
export function drawAxes(context: CanvasRenderingContext2D, scene: AxesScene): void {
  const { projection, theme, width, height } = scene;
  const { left, top, width: plotWidth, height: plotHeight } = projection.plot;
  context.fillStyle = theme.background;
  context.fillRect(0, 0, left, height);
  context.fillRect(left + plotWidth, 0, width, height);
  context.fillRect(0, 0, width, top);
  context.fillRect(0, top + plotHeight, width, height);
  drawRows(context, scene);
  drawTokens(context, scene);
}

function drawRows(context: CanvasRenderingContext2D, scene: AxesScene): void {
  const { picture, projection, theme, unit } = scene;
  const { plot, layout } = projection;
  context.font = `${0.82 * unit}px ${FONT}`;
  context.fillStyle = theme.muted;
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  const every = Math.max(1, Math.ceil((LEAST_DISTANCE_UNITS * unit) / (layout.rowHeight * projection.scale)));
  for (let row = 0; row < picture.rowCount; row++) {
    const isEnd = row === 0 || row === picture.rowCount - 1;
    if (!isEnd && ((row - 1) % every !== 0 || row + every > picture.rowCount)) continue;
    const y = projection.y(layout.height - (row + 0.5) * layout.rowHeight);
    if (y < plot.top || y > plot.top + plot.height) continue;
    context.fillText(rowName(picture, row), plot.left - 0.4 * unit, y);
  }
}

function drawTokens(context: CanvasRenderingContext2D, scene: AxesScene): void {
  const { picture, projection, theme, unit, column: hovered } = scene;
  const { plot, layout } = projection;
  const { widths } = tokenMargins(context, picture, unit);
  const names = tokenNames(picture);
  const isSlanted = !tokensFit(widths, layout, projection.scale, unit);
  context.textBaseline = 'middle';
  context.textAlign = isSlanted ? 'right' : 'center';
  let last = -Infinity;
  const order = [...names.keys()].sort((a, b) => +(b === hovered) - +(a === hovered)); // the hovered one is always drawn
  const taken: number[] = [];
  for (const column of order) {
    const middle = (layout.columnStart[column]! + layout.columnStart[column + 1]!) / 2;
    const x = projection.x(middle);
    if (x < plot.left || x > plot.left + plot.width) continue;
    const isHovered = column === hovered;
    const near = LEAST_DISTANCE_UNITS * unit;
    if (!isHovered && (x - last < near || taken.some((other) => Math.abs(other - x) < near))) continue;
    if (isHovered) taken.push(x);
    else last = x;
    context.fillStyle = isHovered ? theme.clicked : theme.text;
    context.save();
    context.translate(x + (isSlanted ? 0.3 * unit : 0), plot.top + plot.height + TOKEN_DROP * unit);
    if (isSlanted) context.rotate(SLANT);
    context.fillText(names[column]!, 0, 0);
    context.restore();
  }
}
