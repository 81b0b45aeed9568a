/** Paper, HTML: the style of the page, on screens light and dark and on paper, from the colours of the picture. */
import { FONT } from '../picture/svg.ts';
import { THEMES, type Theme } from '../picture/theme.ts';

/** Attributes of the figure that hold colours. */
const COLOURED = ['fill', 'stroke'] as const;

const LIGHT = THEMES.light;
const DARK = THEMES.dark;

export const PAGE_STYLE = `
:root { color-scheme: light dark; ${variables(LIGHT)} }
* { box-sizing: border-box; }
body { margin: 0; background: var(--background); color: var(--text); font: 1rem/1.5 ${FONT}; }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; padding-bottom: 0.25rem; border-bottom: 1px solid var(--grid); }
p, ul { margin: 0.5rem 0; max-width: 46rem; overflow-wrap: anywhere; }
ul { padding-left: 1.25rem; }
pre { margin: 0.5rem 0; padding: 0.75rem 1rem; background: var(--band); border-left: 3px solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; font-size: 1.1rem; }
code { font-family: ui-monospace, 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 0.88em; overflow-wrap: inherit; }
mark { background: none; color: inherit; font-weight: 700; text-decoration: underline 2px var(--strong); text-underline-offset: 0.15em; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; min-width: 42rem; height: auto; border: 1px solid var(--grid); border-radius: 4px; }
figcaption { font-size: 0.85rem; color: var(--muted); margin-top: 0.4rem; max-width: 60rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.9rem; line-height: 1.35; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.3rem; }
th, td { padding: 0.3rem 0.75rem 0.3rem 0; text-align: left; vertical-align: top; overflow-wrap: break-word; }
thead th { color: var(--muted); font-weight: 600; border-bottom: 1px solid var(--line); vertical-align: bottom; overflow-wrap: normal; }
tbody th { font-weight: 500; min-width: 7rem; max-width: 16rem; overflow-wrap: anywhere; }
tbody { border-bottom: 1px solid var(--grid); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.texts { min-width: 14rem; overflow-wrap: anywhere; }
footer { margin-top: 2.5rem; font-size: 0.85rem; color: var(--muted); }
@media screen and (prefers-color-scheme: dark) {
  :root { ${variables(DARK)} }
  ${darkFigure()}
}
@media print {
  :root { color-scheme: light; ${variables(LIGHT)} }
  @page { margin: 18mm 15mm; }
  html { font-size: 9.5pt; }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  p, ul { max-width: none; }
  table { font-size: 8pt; }
  .wide { overflow: visible; }
  figure svg { min-width: 0; border: 0; }
  .texts { min-width: 8em; }
  tbody th { min-width: 6.5em; }
  thead { display: table-header-group; }
  tr, figure, pre { break-inside: avoid; }
  caption, thead { break-after: avoid; }
  .whole { break-inside: avoid; }
  tbody:nth-of-type(-n + 2) { break-before: avoid; }
}
`;

function variables(theme: Theme): string {
  const values = {
    background: theme.background,
    text: theme.text,
    muted: theme.muted,
    grid: theme.grid,
    band: theme.band,
    line: theme.boxLine,
    strong: theme.positive[3]!,
  };
  return Object.entries(values)
    .map(([name, value]) => `--${name}: ${value};`)
    .join(' ');
}

/** A style sheet has precedence over the colours of the figure, which are those of the light theme: each becomes its dark one. */
function darkFigure(): string {
  const pairs = new Map<string, string>();
  const add = (light: string, dark: string): unknown => pairs.has(light) || pairs.set(light, dark);
  for (const name of ['background', 'text', 'muted', 'grid', 'groupBox', 'boxLine'] as const)
    add(LIGHT[name], DARK[name]);
  for (const scale of ['positive', 'negative'] as const) {
    LIGHT[scale].forEach((colour, step) => add(colour, DARK[scale][step]!));
  }
  return [...pairs]
    .flatMap(([light, dark]) =>
      COLOURED.map(
        (name) => `figure svg [${name}="${light}"], figure svg[${name}="${light}"] { ${name}: ${dark}; }`,
      ),
    )
    .join('\n  ');
}
