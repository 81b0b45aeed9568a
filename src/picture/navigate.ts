/** Picture, keyboard: the next mark in a direction. */

import { unreachable } from '../errors.ts';
import type { Layout } from './layout.ts';
import type { PictureGraph } from './picture-graph.ts';
import type { Visible } from './visible.ts';

export type Direction = 'left' | 'right' | 'up' | 'down';

/**
 * Left and right: the next mark of the row. Up and down: the nearest mark of the next row that has visible marks. Without a start:
 * the first explained token. Null at the end.
 */
export function nextNode(
  picture: PictureGraph,
  layout: Layout,
  visible: Visible,
  from: number | null,
  direction: Direction,
): number | null {
  const seen = picture.nodes.filter(({ index }) => visible.nodes[index] === 1);
  if (from === null) return (seen.find(({ isTarget }) => isTarget) ?? seen.at(-1))?.index ?? null;
  const { row, position } = picture.nodes[from]!;
  switch (direction) {
    case 'left':
    case 'right': {
      const along = seen.filter((node) => node.row === row || node.index === from);
      along.sort(
        (a, b) =>
          a.position - b.position ||
          layout.y[a.index]! - layout.y[b.index]! ||
          layout.x[a.index]! - layout.x[b.index]!,
      );
      const at = along.findIndex(({ index }) => index === from);
      return along[at + (direction === 'right' ? 1 : -1)]?.index ?? null;
    }
    case 'up':
    case 'down': {
      const sign = direction === 'up' ? 1 : -1;
      const ahead = seen.filter((node) => (node.row - row) * sign > 0);
      const nearestRow = ahead.reduce((best, node) => Math.min(best, (node.row - row) * sign), Infinity);
      let next: number | null = null;
      let nearest = Infinity;
      for (const node of ahead) {
        if ((node.row - row) * sign !== nearestRow) continue;
        const far = Math.abs(layout.x[node.index]! - layout.x[from]!) + (node.position === position ? 0 : 1);
        if (far < nearest) [nearest, next] = [far, node.index];
      }
      return next;
    }
    default:
      return unreachable(direction);
  }
}
