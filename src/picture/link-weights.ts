/** Picture, SVG: weights beside the links of a subgraph, where neither a box nor another weight covers them. */
import { xmlText } from '../graph/export.ts';
import { isFreeOf, pointsOnLink, type Box } from './boxes.ts';
import { short } from './labels.ts';
import { round } from './marks.ts';
import type { Point } from './place-subgraph.ts';
import type { SubgraphLink } from './subgraph.ts';
import type { Theme } from './theme.ts';

const PIXELS = 11;
/** Width of a digit in its font size, and what is kept free around a weight, in pixels. */
const DIGIT = 0.6;
const MARGIN = 3;

/** Texts for so many links, the strongest first; a link without a free place has none. */
export function linkWeights(
  links: readonly SubgraphLink[],
  places: readonly Point[],
  box: Pick<Box, 'width' | 'height'>,
  most: number,
  theme: Theme,
): string[] {
  const strongest = links.slice(Math.max(0, links.length - most)).reverse();
  const taken: { readonly place: Point; readonly size: { width: number; height: number } }[] = [];
  return strongest.flatMap(({ source, target, weight }) => {
    const text = short(weight);
    const size = { width: text.length * DIGIT * PIXELS + 2 * MARGIN, height: PIXELS + 2 * MARGIN };
    const place = pointsOnLink(places[source]!, places[target]!, box.height).find(
      (point) =>
        isFreeOf(point, size, places, box) &&
        taken.every((other) => isFreeOf(point, size, [other.place], other.size)),
    );
    if (place === undefined) return [];
    taken.push({ place, size });
    const { x, y } = place;
    return [
      `<text x="${round(x)}" y="${round(y + PIXELS * 0.35)}" font-size="${PIXELS}" fill="${theme.text}" stroke="${theme.background}" stroke-width="3" paint-order="stroke" text-anchor="middle" aria-hidden="true">${xmlText(text)}</text>`,
    ];
  });
}
