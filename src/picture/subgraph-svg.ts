/** Picture, way out: the pinned subgraph as an SVG document. */

import { xmlText } from '../graph/export.ts';
import { boxSize, linkCurve } from './boxes.ts';
import type { LabelOf } from './labels.ts';
import { defaultLabel, describeNode, short } from './labels.ts';
import { round } from './marks.ts';
import type { PictureGraph } from './picture.ts';
import { placeSubgraph, type Place } from './place-subgraph.ts';
import { shownLines, shownToken } from './shown.ts';
import { supernodeView, type SubgraphNode, type SubgraphPicture, type Supernodes } from './subgraph.ts';
import { FONT_PIXELS, linkPixels, svgDocument } from './svg.ts';
import { strengthStep, THEMES, weightColour, type ThemeName } from './theme.ts';

export interface SubgraphSvgOptions {
  readonly theme?: ThemeName;
  readonly pinnedIds: readonly string[];
  readonly supernodes?: Supernodes;
  readonly sg_pos?: string;
  readonly labelOf?: LabelOf;
  /** Default: the prompt. */
  readonly title?: string;
  /** In pixels; default 960 and 640. */
  readonly width?: number;
  readonly height?: number;
}

const DEFAULT_PIXELS = { width: 960, height: 640 } as const;
const HEADING_PIXELS = 40;

/** A complete document (XML 1.0) with a box for each pinned node or group, and their links with summed weights. */
export function subgraphSvg(picture: PictureGraph, options: SubgraphSvgOptions): string {
  const { theme: name = 'light', width = DEFAULT_PIXELS.width, height = DEFAULT_PIXELS.height } = options;
  const theme = THEMES[name];
  const labelOf = options.labelOf ?? ((index) => defaultLabel(picture, index));
  const subgraph = supernodeView(picture, options.pinnedIds, options.supernodes ?? [], labelOf);
  const plot = { width, height: height - HEADING_PIXELS };
  const box = boxSize(plot, FONT_PIXELS);
  const places = placeSubgraph(picture, subgraph, options.sg_pos ?? '', {
    width: box.width / plot.width,
    height: box.height / plot.height,
  }).map(({ x, y }) => ({ x: x * plot.width, y: y * plot.height }));
  const title = options.title ?? picture.tokens.join('');
  const shownTitle = shownToken(title, 80).replaceAll('·', ' ');
  return svgDocument({
    width,
    height,
    theme,
    title: `Subgraph of ${JSON.stringify(title)}`,
    description: describeSubgraph(subgraph),
    content: [
      `<text x="16" y="26" font-size="15" font-weight="600">${xmlText(shownTitle)}</text>`,
      `<g transform="translate(0 ${HEADING_PIXELS})">`,
      ...links(subgraph, places, box.height, name),
      ...subgraph.nodes.map((node, i) => boxText(picture, node, places[i]!, box, name, labelOf)),
      '</g>',
    ],
  });
}

/** Boxes and links in words, the strongest link first. */
export function describeSubgraph({ nodes, links: edges }: SubgraphPicture): string {
  const name = (place: number): string => JSON.stringify(nodes[place]!.name);
  const words = [...edges]
    .reverse()
    .map(({ source, target, weight }) => `${name(source)} to ${name(target)} ${short(weight)}`);
  const list = words.length === 0 ? 'No links.' : `Links with their summed weights: ${words.join('; ')}.`;
  return `${nodes.length} boxes: ${nodes.map((_, i) => name(i)).join(', ')}. ${list}`;
}

function links(
  { nodes, links: edges }: SubgraphPicture,
  places: readonly Place[],
  boxHeight: number,
  theme: ThemeName,
): string[] {
  return edges.map(({ source, target, weight, share }) => {
    const text = `${nodes[source]!.name} → ${nodes[target]!.name}: ${short(weight)}`;
    const curve = linkCurve(places[source]!, places[target]!, boxHeight);
    const pixels = round(linkPixels(strengthStep(share)) * 1.5);
    return `<path d="${curve}" fill="none" stroke="${weightColour(share, theme)}" stroke-width="${pixels}" opacity="0.85"><title>${xmlText(text)}</title></path>`;
  });
}

function boxText(
  picture: PictureGraph,
  { name, members, supernode }: SubgraphNode,
  { x, y }: Place,
  box: { readonly width: number; readonly height: number; readonly letters: number; readonly lines: number },
  themeName: ThemeName,
  labelOf: LabelOf,
): string {
  const theme = THEMES[themeName];
  const lines = shownLines(name, box.letters, box.lines);
  const top = y - ((lines.length - 1) * FONT_PIXELS * 1.15) / 2 + FONT_PIXELS * 0.35;
  const text = lines.map(
    (line, i) =>
      `<text x="${round(x)}" y="${round(top + i * FONT_PIXELS * 1.15)}" text-anchor="middle">${xmlText(line)}</text>`,
  );
  const about = members.map((index) => describeNode(picture, index, labelOf)).join('\n');
  const fill = supernode === null ? theme.box : theme.groupBox;
  const rect = `<rect x="${round(x - box.width / 2)}" y="${round(y - box.height / 2)}" width="${round(box.width)}" height="${round(box.height)}" rx="5" fill="${fill}" stroke="${theme.boxLine}" stroke-width="${supernode === null ? 1 : 2}"/>`;
  return `<g><title>${xmlText(about)}</title>${rect}${text.join('')}</g>`;
}
