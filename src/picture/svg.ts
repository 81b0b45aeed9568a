/** Picture, SVG: the whole graph as a document, with a title and a description for screen readers. */

import { xmlText } from '../graph/export.ts';
import { signedShare } from './connections.ts';
import { defaultLabel, describeNode, type LabelOf } from './labels.ts';
import { layoutPicture, type Layout } from './layout.ts';
import { markFill, markPath, round } from './marks.ts';
import type { MarkKind, PictureGraph } from './picture-graph.ts';
import { indexOf, rowName } from './picture.ts';
import { shownToken } from './shown.ts';
import { strengthStep, STRENGTH_STEPS, THEMES, weightColour, type Theme, type ThemeName } from './theme.ts';
import { visibleAt, type Visible } from './visible.ts';

export interface GraphSvgOptions {
  readonly theme?: ThemeName;
  /** Default: all. */
  readonly visible?: Visible;
  readonly labelOf?: LabelOf;
  /** Its links are emphasised, all others drawn faintly. */
  readonly clicked?: string | null;
  readonly pinned?: readonly string[];
  /** Default: the prompt. */
  readonly title?: string;
  /** In pixels; default 1280. */
  readonly width?: number;
}

export const FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif";
export const FONT_PIXELS = 13;
const DEFAULT_WIDTH = 1280;
/** Margins of the plot in pixels, for row names, token names (slanted), title and legend. */
const MARGIN = { left: 52, right: 24, top: 58, bottom: 96 } as const;
const ROW_PIXELS = { least: 16, most: 56, wanted: 640 } as const;
const TOKEN_LETTERS = 14;
const TOKEN_SLANT_DEGREES = -45;

/** A complete document (XML 1.0). Each mark has its description as a tooltip. */
export function graphSvg(picture: PictureGraph, options: GraphSvgOptions = {}): string {
  const { theme: name = 'light', width = DEFAULT_WIDTH } = options;
  const theme = THEMES[name];
  const visible = options.visible ?? visibleAt(picture, 1, 1);
  const rowPixels = Math.min(
    ROW_PIXELS.most,
    Math.max(ROW_PIXELS.least, ROW_PIXELS.wanted / picture.rowCount),
  );
  const plot = {
    width: Math.max(1, width - MARGIN.left - MARGIN.right),
    height: rowPixels * picture.rowCount,
  };
  const layout = layoutPicture(picture, { ...plot, unit: FONT_PIXELS });
  const title = options.title ?? picture.tokens.join('');
  return svgDocument({
    width: round(layout.width + MARGIN.left + MARGIN.right),
    height: round(layout.height + MARGIN.top + MARGIN.bottom),
    theme,
    title: `Attribution graph of ${JSON.stringify(title)}`,
    description: descriptionOf(picture, visible),
    content: [
      heading(title, theme),
      legend(layout.width + MARGIN.left, theme, name),
      `<g transform="translate(${MARGIN.left} ${MARGIN.top})">`,
      ...axes(picture, layout, theme),
      ...links(picture, layout, visible, options),
      ...marks(picture, layout, visible, options),
      '</g>',
    ],
  });
}

export interface SvgDocument {
  readonly width: number;
  readonly height: number;
  readonly theme: Theme;
  readonly title: string;
  readonly description: string;
  readonly content: readonly string[];
}

/** The document around the graph or the subgraph. */
export function svgDocument({ width, height, theme, title, description, content }: SvgDocument): string {
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${xmlText(FONT)}" font-size="${FONT_PIXELS}" fill="${theme.text}">`,
    `<title id="title">${xmlText(title)}</title>`,
    `<desc id="desc">${xmlText(description)}</desc>`,
    `<rect width="100%" height="100%" fill="${theme.background}"/>`,
    ...content,
    '</svg>',
  ].join('\n')}\n`;
}

function descriptionOf(picture: PictureGraph, visible: Visible): string {
  const count = (kind: MarkKind): number =>
    picture.nodes.filter((node) => node.kind === kind && visible.nodes[node.index] === 1).length;
  return [
    `${count('feature')} features, ${count('error')} reconstruction errors, ${count('embedding')} tokens and`,
    `${count('logit')} explained tokens with ${visible.linkCount} links.`,
    'Tokens from left to right, layers from bottom to top.',
    'Circles are features, diamonds errors, squares embeddings, triangles explained tokens.',
    'Blue links strengthen their target, orange links weaken it; the darker, the larger their share of its inputs.',
  ].join(' ');
}

function heading(title: string, theme: Theme): string {
  const shown = shownToken(title, 90).replaceAll('·', ' ');
  return `<text x="${MARGIN.left}" y="24" font-size="15" font-weight="600" fill="${theme.text}">${xmlText(shown)}</text>`;
}

const LEGEND: readonly (readonly [MarkKind, string])[] = [
  ['feature', 'feature'],
  ['error', 'error'],
  ['embedding', 'embedding'],
  ['logit', 'logit'],
];
const LEGEND_PIXELS = { entry: 104, swatch: 12, y: 40 } as const;

function legend(right: number, theme: Theme, name: ThemeName): string {
  const { entry, swatch, y } = LEGEND_PIXELS;
  const shapes = LEGEND.map(([kind, text], i) => {
    const x = MARGIN.left + 6 + i * entry;
    return `<path d="${markPath(kind, x, y, 5)}" fill="${markFill(kind, theme)}" stroke="${theme.markLine}"/><text x="${x + 10}" y="${y + 4}" font-size="12" fill="${theme.muted}">${text}</text>`;
  });
  const steps = Array.from({ length: 2 * STRENGTH_STEPS }, (_, i) => {
    const scale = i < STRENGTH_STEPS ? theme.negative : theme.positive;
    const colour = i < STRENGTH_STEPS ? scale[STRENGTH_STEPS - 1 - i]! : scale[i - STRENGTH_STEPS]!;
    const x = right - (2 * STRENGTH_STEPS - i) * swatch;
    return `<rect x="${round(x)}" y="${y - 5}" width="${swatch}" height="10" fill="${colour}"/>`;
  });
  const words = `<text x="${round(right - 2 * STRENGTH_STEPS * swatch - 8)}" y="${y + 4}" font-size="12" text-anchor="end" fill="${theme.muted}">weakens … strengthens</text>`;
  return `<g data-theme="${name}">${[...shapes, ...steps, words].join('')}</g>`;
}

function axes(picture: PictureGraph, layout: Layout, theme: Theme): string[] {
  const { rowHeight, width, height, columnStart } = layout;
  const rows = Array.from({ length: picture.rowCount }, (_, row) => {
    const top = height - (row + 1) * rowHeight;
    const band =
      row % 2 === 0
        ? `<rect x="0" y="${round(top)}" width="${round(width)}" height="${round(rowHeight)}" fill="${theme.band}"/>`
        : '';
    return `${band}<text x="-8" y="${round(top + rowHeight / 2 + 4)}" font-size="11" text-anchor="end" fill="${theme.muted}">${rowName(picture, row)}</text>`;
  });
  const columns = picture.tokens.map((token, i) => {
    const centre = round((columnStart[i]! + columnStart[i + 1]!) / 2);
    const y = round(height + 16);
    const line = `<line x1="${round(columnStart[i]!)}" y1="0" x2="${round(columnStart[i]!)}" y2="${round(height)}" stroke="${theme.grid}" stroke-width="0.5"/>`;
    return `${line}<text x="${centre}" y="${y}" font-size="12" text-anchor="end" transform="rotate(${TOKEN_SLANT_DEGREES} ${centre} ${y})">${xmlText(shownToken(token, TOKEN_LETTERS))}</text>`;
  });
  return ['<g aria-hidden="true">', ...rows, ...columns, '</g>'];
}

/** One path for all links of a colour, weak ones first. */
function links(
  picture: PictureGraph,
  layout: Layout,
  visible: Visible,
  { theme = 'light', clicked }: GraphSvgOptions,
): string[] {
  const chosen = indexOf(picture, clicked ?? '');
  const background: string[] = [];
  const steps = new Map<string, { step: number; colour: string; lines: string[] }>();
  for (let link = 0; link < picture.linkCount; link++) {
    if (visible.links[link] === 0) continue;
    const [from, to] = [picture.source[link]!, picture.target[link]!];
    const line = `M${round(layout.x[from]!)} ${round(layout.y[from]!)}L${round(layout.x[to]!)} ${round(layout.y[to]!)}`;
    if (chosen !== undefined && chosen !== from && chosen !== to) {
      background.push(line);
      continue;
    }
    const share = signedShare(picture, link);
    const colour = weightColour(share, theme);
    const entry = steps.get(colour) ?? { step: strengthStep(share), colour, lines: [] };
    entry.lines.push(line);
    steps.set(colour, entry);
  }
  const opacity = chosen === undefined ? 0.5 : 0.9;
  const drawn = [...steps.values()].sort((a, b) => a.step - b.step);
  return [
    `<g fill="none" aria-hidden="true">`,
    ...(background.length === 0
      ? []
      : [
          `<path d="${background.join('')}" stroke="${THEMES[theme].backgroundLink}" stroke-width="0.5" opacity="0.15"/>`,
        ]),
    ...drawn.map(
      ({ step, colour, lines }) =>
        `<path d="${lines.join('')}" stroke="${colour}" stroke-width="${round(linkPixels(step))}" opacity="${opacity}"/>`,
    ),
    '</g>',
  ];
}

/** Width of a link by its strength step. */
export function linkPixels(step: number): number {
  return 0.6 + (step / (STRENGTH_STEPS - 1)) * 2.4;
}

function marks(picture: PictureGraph, layout: Layout, visible: Visible, options: GraphSvgOptions): string[] {
  const theme = THEMES[options.theme ?? 'light'];
  const labelOf = options.labelOf ?? ((index) => defaultLabel(picture, index));
  const pinned = new Set((options.pinned ?? []).map((id) => indexOf(picture, id)));
  const chosen = indexOf(picture, options.clicked ?? '');
  return picture.nodes.flatMap(({ index, kind }) => {
    if (visible.nodes[index] === 0) return [];
    const isChosen = index === chosen;
    const line = isChosen ? theme.clicked : pinned.has(index) ? theme.pinned : theme.markLine;
    const pixels = isChosen || pinned.has(index) ? 2 : 0.8;
    const path = markPath(kind, layout.x[index]!, layout.y[index]!, layout.radius - 0.4);
    const text = xmlText(describeNode(picture, index, labelOf));
    return [
      `<path d="${path}" fill="${markFill(kind, theme)}" stroke="${line}" stroke-width="${pixels}"><title>${text}</title></path>`,
    ];
  });
}
