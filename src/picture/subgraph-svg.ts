/** Picture, SVG: the pinned subgraph as a document. */

import { xmlText } from '../graph/export.ts';
import { boxCaption, boxSize, BOX_TEXT, linkCurve, type Box } from './boxes.ts';
import { linkWeights } from './link-weights.ts';
import type { LabelOf } from './labels.ts';
import { defaultLabel, describeNode, short } from './labels.ts';
import { round } from './marks.ts';
import type { PictureGraph } from './picture-graph.ts';
import { lineCount, placeSubgraph, SPACED, type Point } from './place-subgraph.ts';
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
  /** How many links have their weight beside them, the strongest first, where there is room; default 0. */
  readonly weights?: number;
  /** In pixels; default 960 and 640. `fitted`: as high as the lines of boxes need. */
  readonly width?: number;
  readonly height?: number | 'fitted';
}

const DEFAULT_PIXELS = { width: 960, height: 640 } as const;
/** Of a line of boxes, with room for links and their weights above it. */
const LINE_PIXELS = 104;
const HEADING_PIXELS = 40;

/** A complete document (XML 1.0) with a box for each pinned node or group, and their links with summed weights. */
export function subgraphSvg(picture: PictureGraph, options: SubgraphSvgOptions): string {
  const { theme: name = 'light', width = DEFAULT_PIXELS.width, weights = 0 } = options;
  const theme = THEMES[name];
  const labelOf = options.labelOf ?? ((index) => defaultLabel(picture, index));
  const subgraph = supernodeView(picture, options.pinnedIds, options.supernodes ?? [], labelOf);
  const { height: wanted = DEFAULT_PIXELS.height } = options;
  const height = wanted === 'fitted' ? fittedHeight(picture, subgraph, width) : wanted;
  const plot = { width, height: height - HEADING_PIXELS };
  const box = boxSize(plot, FONT_PIXELS, lineCount(picture, subgraph));
  const places = placeSubgraph(picture, subgraph, options.sg_pos ?? '', {
    width: (SPACED.across * box.width) / plot.width,
    height: (SPACED.apart * box.height) / plot.height,
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
      ...linkWeights(subgraph.links, places, box, weights, theme),
      '</g>',
    ],
  });
}

/** The width of boxes does not depend on the height. */
function fittedHeight(picture: PictureGraph, subgraph: SubgraphPicture, width: number): number {
  const box = boxSize({ width, height: Infinity }, FONT_PIXELS, 1);
  const lines = lineCount(picture, subgraph, Math.max(1, Math.floor(width / (SPACED.across * box.width))));
  return HEADING_PIXELS + Math.max(1, lines) * LINE_PIXELS;
}

/** A description of boxes and links, the strongest link first. */
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
  places: readonly Point[],
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
  node: SubgraphNode,
  { x, y }: Point,
  box: Box,
  themeName: ThemeName,
  labelOf: LabelOf,
): string {
  const theme = THEMES[themeName];
  const labels = shownLines(node.name, box.letters, box.lines);
  const first = y + BOX_TEXT.firstLine(labels.length) * FONT_PIXELS;
  const text = [...labels, boxCaption(picture, node, box.captionLetters)].map((line, i) => {
    const [size, fill] = i < labels.length ? [BOX_TEXT.label, theme.text] : [BOX_TEXT.caption, theme.muted];
    const baseline = round(first + i * BOX_TEXT.line * FONT_PIXELS);
    return `<text x="${round(x)}" y="${baseline}" font-size="${round(size * FONT_PIXELS)}" fill="${fill}" text-anchor="middle">${xmlText(line)}</text>`;
  });
  const about = node.members.map((index) => describeNode(picture, index, labelOf)).join('\n');
  const isGroup = node.supernode !== null;
  const rect = `<rect x="${round(x - box.width / 2)}" y="${round(y - box.height / 2)}" width="${round(box.width)}" height="${round(box.height)}" rx="5" fill="${isGroup ? theme.groupBox : theme.box}" stroke="${theme.boxLine}" stroke-width="${isGroup ? 2 : 1}"/>`;
  return `<g><title>${xmlText(about)}</title>${rect}${text.join('')}</g>`;
}
