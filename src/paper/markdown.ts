/**
 * Paper, Markdown as GitHub reads it: tables with pipes, the figure as a file beside it, since data addresses and inline SVG are not shown
 * there. What comes from the graph is escaped: no character of it is markup.
 */
import { shownText } from '../picture/shown.ts';
import type { Block, Column, Line, PageContent, Piece, RowGroup, Section } from './blocks.ts';

/** Characters that mean something inside a line: emphasis, code, links, HTML, tables, strikethrough, mathematics, entities. */
const SPECIAL = /[\\`*_[\]<>~$&#!]/g;
/** No backslash but an entity: a pipe would end the cell of a table. */
const PIPE = '&#124;';
/** GitHub makes links of bare addresses; an entity in them prevents that and looks the same. */
const BARE_LINK = /(:)(?=\/\/)|(?<=www)(\.)/gi;

/** @param svgFile name of the file of the figure, in the folder of the page; null where there is none */
export function markdownOf({ title, sections, footer }: PageContent, svgFile: string | null): string {
  const parts = [
    `# ${escaped(title)}`,
    ...sections.flatMap((section) => sectionMarkdown(section, svgFile)),
    '---',
    lineMarkdown(footer),
  ];
  return `${parts.join('\n\n')}\n`;
}

function sectionMarkdown({ title, blocks }: Section, svgFile: string | null): string[] {
  return [`## ${escaped(title)}`, ...blocks.map((block) => blockMarkdown(block, svgFile))];
}

function blockMarkdown(block: Block, svgFile: string | null): string {
  switch (block.kind) {
    case 'paragraph':
      return lineMarkdown(block.line);
    case 'list':
      return block.items.map((item) => `- ${lineMarkdown(item)}`).join('\n');
    case 'quotation':
      return fenced(shownText(block.text));
    case 'figure':
      return svgFile === null
        ? 'The figure is not in this copy: it needs a file beside the page.'
        : `![${escaped(block.alternative)}](${encodedPath(svgFile)})\n\n${lineMarkdown(block.caption)}`;
    case 'table':
      return tableMarkdown(block);
  }
}

function tableMarkdown({ caption, columns, groups }: Extract<Block, { kind: 'table' }>): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    `**${escaped(caption)}**`,
    '',
    row(columns.map(({ title }) => escaped(title))),
    row(columns.map(({ align }) => (align === 'right' ? '--:' : '---'))),
    ...groups.flatMap((group) => groupRows(group, columns).map(row)),
  ].join('\n');
}

/** There are no cells over several rows: those below the first have none. */
function groupRows({ heading, rows }: RowGroup, columns: readonly Column[]): string[][] {
  return rows.map((cells, i) => {
    const texts = [i === 0 ? heading : [], ...cells].map(cellMarkdown);
    return columns.map((_, j) => texts[j] ?? '');
  });
}

/** In a cell a pipe ends the cell, also inside code. Readers differ in what a backslash in front of it does, so it is an entity there. */
function cellMarkdown(line: Line): string {
  const text = line.map((piece) =>
    isCode(piece) && piece.text.includes('|') ? `<code>${escaped(piece.text)}</code>` : pieceMarkdown(piece),
  );
  return text.join('').trim();
}

function lineMarkdown(line: Line): string {
  return line.map(pieceMarkdown).join('');
}

function pieceMarkdown(piece: Piece): string {
  if (typeof piece === 'string') return escaped(piece);
  switch (piece.kind) {
    case 'break':
      return '<br>';
    case 'code':
      return codeSpan(piece.text);
    case 'mark':
      // Asterisks inside a word or beside a punctuation mark would be no emphasis.
      return `<b>${escaped(piece.text)}</b>`;
    case 'strong':
      return `**${escaped(piece.text)}**`;
  }
}

function isCode(piece: Piece): piece is Extract<Piece, { kind: 'code' }> {
  return typeof piece !== 'string' && piece.kind === 'code';
}

/** On one line. */
export function escaped(text: string): string {
  return shownText(text)
    .replace(/\n+/g, ' ')
    .replace(SPECIAL, (character) => `\\${character}`)
    .replaceAll('|', PIPE)
    .replace(BARE_LINK, (character) => `&#${character.charCodeAt(0)};`);
}

/** Code between more back-ticks than it has in a row; nothing in it is markup. */
function codeSpan(text: string): string {
  const line = shownText(text).replace(/\n+/g, ' ');
  if (line === '') return '';
  const ticks = '`'.repeat(longestRun(line) + 1);
  // One space at each end is taken away where both are there and it is not all spaces.
  const needsSpace = /^[` ]|[` ]$/.test(line) && line.trim() !== '';
  return needsSpace ? `${ticks} ${line} ${ticks}` : `${ticks}${line}${ticks}`;
}

function fenced(text: string): string {
  const fence = '`'.repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}text\n${text}\n${fence}`;
}

function longestRun(text: string): number {
  return [...text.matchAll(/`+/g)].reduce((most, [run]) => Math.max(most, run.length), 0);
}

/** Parentheses would end the address. */
function encodedPath(file: string): string {
  return encodeURIComponent(file).replace(/[()]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
}
