/**
 * Paper, HTML: the page as one file without scripts and requests. It is well-formed XML too, so that a missing end of an element shows
 * in tests; what comes from the graph is only ever text.
 */
import { createHash } from 'node:crypto';
import { xmlText } from '../graph/export.ts';
import { shownText } from '../picture/shown.ts';
import {
  textOf,
  type Block,
  type Column,
  type Line,
  type PageContent,
  type Piece,
  type RowGroup,
  type Section,
} from './blocks.ts';
import { PAGE_STYLE } from './style.ts';

/** From so many letters on a cell is given room. */
const LONG_TEXT = 40;
/** Tables of so many rows are not divided between printed pages. */
const MOST_WHOLE_ROWS = 12;

/** @param svg the figure, a document of its own */
export function htmlOf({ title, sections, footer }: PageContent, svg: string): string {
  const policy = `default-src 'none'; style-src '${hashOf(PAGE_STYLE)}'; base-uri 'none'; form-action 'none'`;
  return `${[
    '<!DOCTYPE html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8" />',
    `<meta http-equiv="Content-Security-Policy" content="${policy}" />`,
    '<meta name="viewport" content="width=device-width, initial-scale=1" />',
    `<title>${safeText(title)}</title>`,
    `<style>${PAGE_STYLE}</style>`,
    '</head>',
    '<body>',
    '<main>',
    `<h1><bdi>${safeText(title)}</bdi></h1>`,
    ...sections.flatMap((section) => sectionHtml(section, svg)),
    `<footer><p>${lineHtml(footer)}</p></footer>`,
    '</main>',
    '</body>',
    '</html>',
  ].join('\n')}\n`;
}

function sectionHtml({ id, title, blocks }: Section, svg: string): string[] {
  return [
    `<section aria-labelledby="${id}">`,
    `<h2 id="${id}">${safeText(title)}</h2>`,
    ...blocks.map((block) => blockHtml(block, svg)),
    '</section>',
  ];
}

function blockHtml(block: Block, svg: string): string {
  switch (block.kind) {
    case 'paragraph':
      return `<p>${lineHtml(block.line)}</p>`;
    case 'list':
      return `<ul>${block.items.map((item) => `<li>${lineHtml(item)}</li>`).join('')}</ul>`;
    case 'quotation':
      // The parser takes the first line break away.
      return `<pre dir="auto">\n${safeText(block.text)}</pre>`;
    case 'figure':
      return `<figure>\n<div class="wide" tabindex="0" role="group" aria-label="${safeText(block.alternative)}">\n${inlineSvg(svg)}</div>\n<figcaption>${lineHtml(block.caption)}</figcaption>\n</figure>`;
    case 'table':
      return tableHtml(block);
  }
}

/** The element of an SVG document, without the declaration in front. */
function inlineSvg(svg: string): string {
  return svg.replace(/^<\?xml[^>]*\?>\s*/, '');
}

function tableHtml({ caption, columns, groups }: Extract<Block, { kind: 'table' }>): string {
  const heads = columns.map((column) => `<th scope="col"${classOf(column)}>${safeText(column.title)}</th>`);
  const n_rows = groups.reduce((sum, { rows }) => sum + rows.length, 0);
  return [
    // What scrolls has to be reached by keyboard.
    `<div class="wide${n_rows <= MOST_WHOLE_ROWS ? ' whole' : ''}" tabindex="0" role="group" aria-label="${safeText(caption)}"><table>`,
    `<caption>${safeText(caption)}</caption>`,
    `<thead><tr>${heads.join('')}</tr></thead>`,
    ...groups.map((group) => groupHtml(group, columns)),
    '</table></div>',
  ].join('\n');
}

function groupHtml({ heading, rows }: RowGroup, columns: readonly Column[]): string {
  const scope = rows.length > 1 ? `scope="rowgroup" rowspan="${rows.length}"` : 'scope="row"';
  const lines = rows.map((cells, i) => {
    const head = i === 0 ? `<th ${scope}>${lineHtml(heading)}</th>` : '';
    const data = cells.map((cell, j) => `<td${classOf(columns[j + 1]!, cell)}>${lineHtml(cell)}</td>`);
    return `<tr>${head}${data.join('')}</tr>`;
  });
  return `<tbody>${lines.join('\n')}</tbody>`;
}

function classOf({ align }: Column, cell: Line = []): string {
  if (align === 'right') return ' class="number"';
  const letters = cell.reduce((sum, piece) => sum + textOf(piece).length, 0);
  return letters > LONG_TEXT ? ' class="texts"' : '';
}

function lineHtml(line: Line): string {
  return line.map(pieceHtml).join('');
}

/** Texts of a graph may be written from right to left: each is isolated, so that it cannot reorder what is around it. */
function pieceHtml(piece: Piece): string {
  if (typeof piece === 'string') return `<bdi>${safeText(piece)}</bdi>`;
  if (piece.kind === 'break') return '<br />';
  const text = safeText(piece.text);
  switch (piece.kind) {
    case 'code':
      return `<code dir="auto">${text}</code>`;
    case 'strong':
      return `<strong>${text}</strong>`;
    case 'mark':
      return `<mark>${text}</mark>`;
  }
}

/** Characters that are not seen, or turn the direction of others, are written as their codes. */
function safeText(text: string): string {
  return xmlText(shownText(text));
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}`;
}
