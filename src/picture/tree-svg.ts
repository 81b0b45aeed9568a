/** Picture: a tree of clusters (dendrogram), from left to right, as a document. */
import { xmlText } from '../graph/export.ts';
import { round } from './marks.ts';
import { shownLabel } from './shown.ts';
import { svgDocument } from './svg.ts';
import { STRENGTH_STEPS, THEMES, type ThemeName } from './theme.ts';

export interface DrawnTree {
  /** Where its parts meet, 0 to 1. */
  readonly height: number;
  /** Of a leaf, or of a branch that is drawn as one. */
  readonly label: string;
  /** Colour group of all leaves below; null where they differ. */
  readonly cluster: number | null;
  readonly children: readonly DrawnTree[];
}

export interface TreeDrawing {
  readonly title: string;
  readonly description: string;
  /** What the height is. */
  readonly axis: string;
  readonly tree: DrawnTree;
}

const PIXELS = { width: 960, left: 24, label: 380, top: 64, row: 20, bottom: 24 } as const;
const LABEL_LETTERS = 56;
/** Alternate, so that neighbours can be told apart. */
const COLOUR_STEPS = [STRENGTH_STEPS - 1, STRENGTH_STEPS - 3] as const;

/** A complete document (XML 1.0). The root is on the left, at its height; leaves are on the right, at 0. */
export function treeSvg(
  { title, description, axis, tree }: TreeDrawing,
  themeName: ThemeName = 'light',
): string {
  const theme = THEMES[themeName];
  const right = PIXELS.width - PIXELS.label;
  const most = Math.max(tree.height, Number.MIN_VALUE);
  const x = (height: number): number => round(right - ((right - PIXELS.left) * height) / most);
  const colour = (cluster: number | null): string => {
    if (cluster === null) return theme.muted;
    const scale = cluster % 2 === 0 ? theme.positive : theme.negative;
    return scale[COLOUR_STEPS[Math.floor(cluster / 2) % 2]!]!;
  };
  const content: string[] = [];
  let rows = 0;
  /** Draws a branch and returns the height on the page of its root. */
  const draw = (branch: DrawnTree): number => {
    if (branch.children.length === 0) {
      const y = PIXELS.top + PIXELS.row * rows++;
      content.push(
        `<text x="${right + 10}" y="${y + 4}" font-size="12" fill="${colour(branch.cluster)}">${xmlText(shownLabel(branch.label, LABEL_LETTERS))}</text>`,
      );
      return y;
    }
    const ys = branch.children.map(draw);
    const [first, last] = [ys[0]!, ys.at(-1)!];
    const lines = branch.children.map(
      (child, i) =>
        `M${x(branch.height)} ${round(ys[i]!)}H${x(child.children.length === 0 ? 0 : child.height)}`,
    );
    const path = `${lines.join('')}M${x(branch.height)} ${round(first)}V${round(last)}`;
    content.push(`<path d="${path}" fill="none" stroke="${colour(branch.cluster)}" stroke-width="1.5"/>`);
    return (first + last) / 2;
  };
  draw(tree);
  const heading = [
    `<text x="16" y="24" font-size="15" font-weight="600">${xmlText(title)}</text>`,
    `<text x="16" y="44" font-size="12" fill="${theme.muted}">${xmlText(axis)}</text>`,
  ];
  return svgDocument({
    width: PIXELS.width,
    height: PIXELS.top + PIXELS.row * rows + PIXELS.bottom,
    ...{ theme, title, description, content: [...heading, ...content] },
  });
}
