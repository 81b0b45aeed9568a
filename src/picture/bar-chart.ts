/** Picture: horizontal bars with intervals, as a document. Used for what recurs in groups of graphs and what differs between them. */
import { xmlText } from '../graph/export.ts';
import { round } from './marks.ts';
import { shownLabel } from './shown.ts';
import { svgDocument } from './svg.ts';
import { STRENGTH_STEPS, THEMES, type Theme, type ThemeName } from './theme.ts';

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Drawn as a whisker. */
  readonly interval?: readonly [low: number, high: number] | undefined;
  /** Behind the bar: the number in words. */
  readonly note: string;
  /** Others are drawn faintly. Default: true. */
  readonly isStrong?: boolean | undefined;
}

export interface BarChart {
  readonly title: string;
  readonly description: string;
  /** Below the title. */
  readonly lines?: readonly string[] | undefined;
  /** What the length of a bar is. */
  readonly axis: string;
  readonly sections: readonly { readonly title: string; readonly bars: readonly Bar[] }[];
  /** Length that fills the plot; default: of the largest bar or interval. */
  readonly most?: number | undefined;
}

const PIXELS = {
  width: 960,
  label: 330,
  note: 190,
  right: 16,
  title: 44,
  line: 17,
  row: 22,
  bar: 14,
  bottom: 20,
} as const;
const LABEL_LETTERS = 44;
const TITLE_LETTERS = 90;
const FAINT = 0.35;
/** Of the colour scales: dark enough for white and black backgrounds. */
const COLOUR_STEP = STRENGTH_STEPS - 4;

/** A complete document (XML 1.0). Bars below zero go to the left and have the other colour. */
export function barChartSvg(chart: BarChart, themeName: ThemeName = 'light'): string {
  const theme = THEMES[themeName];
  const bars = chart.sections.flatMap((section) => section.bars);
  const reach = bars.flatMap(({ value, interval }) => [value, ...(interval ?? [])]);
  const most = chart.most ?? reach.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const hasNegative = reach.some((value) => value < 0);
  const from = PIXELS.label;
  const to = PIXELS.width - PIXELS.note - PIXELS.right;
  const zero = hasNegative ? (from + to) / 2 : from;
  const scale = most === 0 ? 0 : (to - zero) / most;
  const content: string[] = [
    `<text x="16" y="24" font-size="15" font-weight="600">${xmlText(shownLabel(chart.title, TITLE_LETTERS))}</text>`,
  ];
  let y = PIXELS.title;
  for (const line of chart.lines ?? []) {
    content.push(`<text x="16" y="${y}" font-size="12">${xmlText(shownLabel(line, TITLE_LETTERS))}</text>`);
    y += PIXELS.line;
  }
  const anchor = hasNegative ? 'middle' : 'start';
  content.push(
    `<text x="${round(zero)}" y="${y}" font-size="12" text-anchor="${anchor}" fill="${theme.muted}">${xmlText(chart.axis)}</text>`,
  );
  y += PIXELS.bar;
  const top = y;
  for (const { title, bars: own } of chart.sections) {
    content.push(`<text x="16" y="${y + PIXELS.bar}" font-weight="600">${xmlText(title)}</text>`);
    y += PIXELS.row;
    for (const bar of own) {
      content.push(barSvg(bar, { y, zero, scale, theme }));
      y += PIXELS.row;
    }
    y += PIXELS.row / 2;
  }
  content.push(
    `<line x1="${round(zero)}" y1="${top}" x2="${round(zero)}" y2="${round(y)}" stroke="${theme.muted}"/>`,
  );
  const { title, description } = chart;
  return svgDocument({ width: PIXELS.width, height: y + PIXELS.bottom, theme, title, description, content });
}

interface Place {
  readonly y: number;
  readonly zero: number;
  readonly scale: number;
  readonly theme: Theme;
}

function barSvg(
  { label, value, interval, note, isStrong = true }: Bar,
  { y, zero, scale, theme }: Place,
): string {
  const x = (of: number): number => round(zero + of * scale);
  const colour = (value < 0 ? theme.negative : theme.positive)[COLOUR_STEP]!;
  const middle = y + PIXELS.bar / 2;
  const left = Math.min(x(0), x(value));
  const parts = [
    `<title>${xmlText(`${label}: ${note}`)}</title>`,
    `<text x="${PIXELS.label - 10}" y="${y + PIXELS.bar - 3}" font-size="12" text-anchor="end">${xmlText(shownLabel(label, LABEL_LETTERS))}</text>`,
    `<rect x="${left}" y="${y}" width="${round(Math.abs(value * scale))}" height="${PIXELS.bar}" fill="${colour}" opacity="${isStrong ? 1 : FAINT}"/>`,
    `<text x="${PIXELS.width - PIXELS.note - PIXELS.right + 12}" y="${y + PIXELS.bar - 3}" font-size="12" fill="${theme.muted}">${xmlText(note)}</text>`,
  ];
  if (interval) {
    const [low, high] = [x(interval[0]), x(interval[1])];
    const ends = `M${low} ${middle - 3}V${middle + 3}M${high} ${middle - 3}V${middle + 3}`;
    parts.push(`<path d="M${low} ${middle}H${high}${ends}" fill="none" stroke="${theme.text}"/>`);
  }
  return `<g>${parts.join('')}</g>`;
}
