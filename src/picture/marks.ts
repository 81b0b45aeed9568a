/** Picture: shapes of marks. Each kind of node has its own, so that kinds can be distinguished without colour. */

import type { MarkKind } from './picture-graph.ts';
import type { Theme } from './theme.ts';

/** Corners for a mark of radius 1; a feature is a circle. All stay within that radius, so that marks cannot touch. */
export const MARK_CORNERS: Readonly<
  Record<Exclude<MarkKind, 'feature'>, readonly (readonly [number, number])[]>
> = {
  error: polygon(4, -90),
  embedding: polygon(4, -45),
  logit: polygon(3, -90),
};

/** Path data (SVG 1.1) of a mark. */
export function markPath(kind: MarkKind, x: number, y: number, radius: number): string {
  if (kind === 'feature') {
    const [r, left] = [round(radius), round(x - radius)];
    return `M${left} ${round(y)}a${r} ${r} 0 1 0 ${round(2 * radius)} 0a${r} ${r} 0 1 0 ${round(-2 * radius)} 0z`;
  }
  const corners = MARK_CORNERS[kind].map(([dx, dy]) => `${round(x + dx * radius)} ${round(y + dy * radius)}`);
  return `M${corners.join('L')}z`;
}

export function markFill(kind: MarkKind, theme: Theme): string {
  return theme[kind];
}

/** Rounds to hundredths of a pixel. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function polygon(corners: number, firstDegrees: number): [number, number][] {
  return Array.from({ length: corners }, (_, i) => {
    const angle = ((firstDegrees + (i * 360) / corners) * Math.PI) / 180;
    return [Math.cos(angle), Math.sin(angle)];
  });
}
