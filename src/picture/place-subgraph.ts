/** Picture, subgraph: positions of boxes as fractions of the panel. Boxes that were not moved are placed automatically. */

import type { PictureGraph } from './picture-graph.ts';
import type { SubgraphNode, SubgraphPicture } from './subgraph.ts';

/** Centre of a box, each coordinate 0 to 1. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Size of a box as fractions of the panel. */
export interface BoxSize {
  readonly width: number;
  readonly height: number;
}

/** Distance of boxes that are placed automatically, in their size, so that links between them are visible. */
export const SPACED = { across: 1.08, apart: 1.4 } as const;

const DEFAULT_BOX: BoxSize = { width: 0.17, height: 0.09 };
const DECIMALS = 4;
/** Number of positions that are tried for a box in each direction. */
const TRIED = 32;
/** Weight of vertical distance: a wrong layer is more misleading than a wrong token. */
const HEIGHT_COST = 3;

/**
 * `sg_pos`: `id:x,y` joined by `;`. A supernode is named by its first member, so that its position survives changes of the list.
 * Other content, such as numbers of other programs, is ignored. Ids end at the last colon, since those of other programs may
 * contain one.
 */
export function parsePositions(sgPos: string): Map<string, Point> {
  const places = new Map<string, Point>();
  for (const part of sgPos.split(';')) {
    const found = /^(.+):(-?[\d.]+),(-?[\d.]+)$/.exec(part);
    if (found === null) continue;
    const [x, y] = [Number(found[2]), Number(found[3])];
    if (Number.isFinite(x) && Number.isFinite(y)) places.set(found[1]!, { x: clamp(x), y: clamp(y) });
  }
  return places;
}

export function formatPositions(places: ReadonlyMap<string, Point>): string {
  const number = (value: number): string => String(Number(clamp(value).toFixed(DECIMALS)));
  return [...places].map(([key, { x, y }]) => `${key}:${number(x)},${number(y)}`).join(';');
}

/**
 * Position of each box, in the order of `subgraph.nodes`. Boxes that were moved keep their position, the others are placed by token
 * and layer without overlap.
 */
export function placeSubgraph(
  picture: PictureGraph,
  { nodes }: SubgraphPicture,
  sgPos: string,
  box: BoxSize = DEFAULT_BOX,
): Point[] {
  const saved = parsePositions(sgPos);
  const wanted = freePlaces(picture, nodes, box);
  const places: (Point | undefined)[] = nodes.map((node) => saved.get(placeId(picture, node)));
  const order = [...nodes.keys()].sort((a, b) => wanted[b]!.y - wanted[a]!.y || wanted[a]!.x - wanted[b]!.x);
  for (const i of order) places[i] ??= freeNear(wanted[i]!, places, box);
  return places.map((place) => place!);
}

/** Id of a box in `sg_pos`. */
export function placeId({ nodes }: PictureGraph, { members }: SubgraphNode): string {
  return nodes[members[0]!]!.id;
}

/** Number of rows of boxes before they are merged to fit; a row of more than `mostBoxes` counts as several. */
export function lineCount(picture: PictureGraph, { nodes }: SubgraphPicture, mostBoxes = Infinity): number {
  const sizes = new Map<number, number>();
  for (const { members } of nodes) {
    const row = Math.round(mean(picture, members, 'row'));
    sizes.set(row, (sizes.get(row) ?? 0) + 1);
  }
  return [...sizes.values()].reduce((sum, size) => sum + Math.ceil(size / mostBoxes), 0);
}

function mean({ nodes }: PictureGraph, members: readonly number[], field: 'row' | 'position'): number {
  return members.reduce((sum, index) => sum + nodes[index]![field], 0) / members.length;
}

/** Weight of the token in x; the rest is an even distribution over the width, so that many boxes at few tokens use the whole panel. */
const BY_TOKEN = 0.35;
/** Horizontal offset of neighbouring lines in widths of a box, so that links do not run behind boxes. */
const STAGGER = 0.35;

/** Places boxes in lines by layer, the highest on top, and in a line by token. */
function freePlaces(picture: PictureGraph, boxes: SubgraphPicture['nodes'], box: BoxSize): Point[] {
  const positions = boxes.map(({ members }) => mean(picture, members, 'position'));
  const rankOf = ranks(positions);
  const lines = linesOf(
    boxes.map(({ members }) => Math.round(mean(picture, members, 'row'))),
    Math.max(1, Math.floor(1 / box.width)),
    Math.max(1, Math.floor(1 / box.height)),
  );
  const places = new Array<Point>(boxes.length);
  for (const [i, line] of lines.entries()) {
    const shift = (i % 2 === 0 ? STAGGER : -STAGGER) * box.width * (lines.length > 2 ? 1 : 0);
    line.sort((a, b) => positions[a]! - positions[b]! || a - b);
    const wanted = line.map((place, j) => {
      const even = (j + 0.5) / line.length;
      return BY_TOKEN * rankOf.get(positions[place]!)! + (1 - BY_TOKEN) * even + shift;
    });
    const y = (i + 0.5) / lines.length;
    for (const [j, x] of sideBySide(wanted, box.width).entries()) places[line[j]!] = { x, y };
  }
  return places;
}

/** Moves ascending coordinates as little as needed for boxes of that width not to overlap and to stay inside, if there is room. */
function sideBySide(wanted: readonly number[], width: number): number[] {
  const places: number[] = [];
  for (const x of wanted) places.push(Math.max(x, (places.at(-1) ?? -width / 2) + width));
  let right = 1 + width / 2;
  for (let j = places.length - 1; j >= 0; j--) {
    right = Math.min(places[j]!, right - width);
    places[j] = right;
  }
  return places;
}

/**
 * Boxes (by their indices) in lines, the highest row first. A row with too many boxes is split into several lines; if there are too
 * many lines, the two neighbours with the fewest boxes are joined, as long as they fit into one.
 */
function linesOf(rows: readonly number[], mostBoxes: number, mostLines: number): number[][] {
  const byRow = new Map<number, number[]>();
  for (const [place, row] of rows.entries()) byRow.set(row, [...(byRow.get(row) ?? []), place]);
  const lines = [...byRow]
    .sort(([a], [b]) => b - a)
    .flatMap(([, places]) => chunks(places, Math.ceil(places.length / Math.ceil(places.length / mostBoxes))));
  while (lines.length > mostLines) {
    const sizes = lines.slice(1).map((line, i) => line.length + lines[i]!.length);
    const least = sizes.indexOf(sizes.reduce((a, b) => Math.min(a, b)));
    if (sizes[least]! > mostBoxes) break;
    lines.splice(least, 2, [...lines[least]!, ...lines[least + 1]!]);
  }
  return lines;
}

function chunks(places: readonly number[], size: number): number[][] {
  return Array.from({ length: Math.ceil(places.length / size) }, (_, i) =>
    places.slice(i * size, (i + 1) * size),
  );
}

/** Maps the values that occur evenly to 0 … 1. */
function ranks(values: readonly number[]): Map<number, number> {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  return new Map(sorted.map((value, i) => [value, (i + 0.5) / sorted.length]));
}

/** The nearest position without overlap; the wanted one if there is none. */
function freeNear(wanted: Point, places: readonly (Point | undefined)[], box: BoxSize): Point {
  const taken = places.filter((place) => place !== undefined);
  const isFree = ({ x, y }: Point): boolean =>
    taken.every((other) => Math.abs(other.x - x) >= box.width || Math.abs(other.y - y) >= box.height);
  const inside = { x: within(wanted.x, box.width), y: within(wanted.y, box.height) };
  if (isFree(inside)) return inside;
  let best = inside;
  let least = Infinity;
  for (let column = 0; column <= TRIED; column++) {
    for (let row = -1; row <= TRIED; row++) {
      // The wanted height first, so that boxes of one layer stay in a line.
      const y = row < 0 ? inside.y : within(row / TRIED, box.height);
      const place = { x: within(column / TRIED, box.width), y };
      const cost = Math.hypot(place.x - inside.x, (place.y - inside.y) * HEIGHT_COST);
      if (cost < least && isFree(place)) [least, best] = [cost, place];
    }
  }
  return best;
}

/** Keeps a box of that size inside the panel. */
function within(value: number, size: number): number {
  return Math.min(Math.max(value, size / 2), Math.max(size / 2, 1 - size / 2));
}

function clamp(value: number): number {
  return Math.min(Math.max(value, 0), 1);
}
