/** A page as HTML and as Markdown: complete, readable by programs, and whatever a graph holds is only ever text. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { contentOf } from '../../src/paper/content.ts';
import { htmlOf } from '../../src/paper/html.ts';
import { markdownOf } from '../../src/paper/markdown.ts';
import type { Paper } from '../../src/paper/paper.ts';
import { subgraphSvg } from '../../src/picture/subgraph-svg.ts';
import { makePicture } from '../../src/picture/picture.ts';
import { THEMES } from '../../src/picture/theme.ts';
import { smallViewer } from '../picture/graphs.ts';
import { all, parseXml, type XmlElement } from '../picture/xml.ts';
import { madePaper, NASTY } from './made-paper.ts';
import { nodesOf, tablesOf } from './markdown-tree.ts';

const svg = subgraphSvg(makePicture(smallViewer()), {
  pinnedIds: ['0_5_1', '1_7_1'],
  title: NASTY,
  weights: 9,
});
const html = (paper: Paper): string => htmlOf(contentOf(paper), svg);
const markdown = (paper: Paper): string => markdownOf(contentOf(paper), 'page.svg');
const parsed = (paper: Paper): XmlElement =>
  parseXml(
    html(paper)
      .replace(/^<!DOCTYPE html>\s*/, '')
      .replace(/<style>[^]*?<\/style>/, ''),
  );
const textOf = (element: XmlElement): string => element.text + element.children.map(textOf).join('');

describe('the page as HTML', () => {
  it('has no markup of the graph in it, whatever its texts are', () => {
    const usual = new Set([
      'html',
      'head',
      'meta',
      'title',
      'body',
      'main',
      'h1',
      'h2',
      'bdi',
      'section',
      'p',
      'ul',
      'li',
      'pre',
      'code',
      'strong',
      'mark',
      'div',
      'table',
      'caption',
      'thead',
      'tbody',
      'tr',
      'th',
      'td',
      'figure',
      'figcaption',
      'footer',
      'svg',
      'desc',
      'rect',
      'g',
      'path',
      'text',
    ]);
    fc.assert(
      fc.property(fc.oneof(fc.constant(NASTY), fc.string({ unit: 'binary' })), (text) => {
        const names = new Set<string>();
        const walk = ({ name, children }: XmlElement): void => {
          names.add(name);
          children.forEach(walk);
        };
        parsed(madePaper(text)).children.forEach(walk);
        expect([...names].filter((name) => !usual.has(name))).toEqual([]);
      }),
      { numRuns: 15 },
    );
    expect(html(madePaper(NASTY))).not.toMatch(/<script|<img/);
    expect(html(madePaper(NASTY)).replace(/<svg[^]*<\/svg>/, '')).not.toContain('\u202e');
  });

  it('shows these texts in full', () => {
    const document = parsed(madePaper('a <b> & "c"'));
    const cells = all(document, 'td').map(textOf);
    expect(cells.filter((cell) => cell.includes('a <b> & "c"')).length).toBeGreaterThan(5);
    expect(textOf(all(document, 'pre')[0]!)).toBe('\na <b> & "c"'); // HTML leaves the first line break out
  });

  it('has tables with headers for rows and columns, all rows as wide as the head', () => {
    const tables = all(parsed(madePaper('x')), 'table');
    expect(tables.map((table) => textOf(all(table, 'caption')[0]!))).toEqual([
      ...[
        'Explained targets',
        'Boxes',
        'Links',
        'Features of the boxes, with the texts they are most active on',
      ],
      ...['Change of the targets without a box', 'Scores', 'Provenance'],
    ]);
    for (const table of tables) {
      const columns = all(all(table, 'thead')[0]!, 'th');
      expect(columns.every(({ attributes }) => attributes['scope'] === 'col')).toBe(true);
      for (const body of all(table, 'tbody')) {
        const [first, ...rest] = all(body, 'tr');
        expect(first!.children[0]!.name).toBe('th');
        expect(first!.children).toHaveLength(columns.length);
        for (const row of rest) expect(row.children).toHaveLength(columns.length - 1);
        if (rest.length > 0) expect(first!.children[0]!.attributes['rowspan']).toBe(String(rest.length + 1));
      }
    }
  });

  it('is one file that asks for nothing, with its figure named and described', () => {
    const plain = subgraphSvg(makePicture(smallViewer()), { pinnedIds: ['0_5_1'], title: 'x' });
    const text = htmlOf(contentOf(madePaper('x')), plain);
    expect(text).toContain("default-src 'none'");
    expect(text.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(
      /https?:|url\(|@import|<link|<script/,
    );
    const figure = all(parsed(madePaper('x')), 'svg')[0]!;
    expect(figure.attributes).toMatchObject({ role: 'img', 'aria-labelledby': 'title desc' });
    const ids = [...text.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has a dark colour for every colour of the figure', () => {
    const dark = /@media screen and \(prefers-color-scheme: dark\) \{([^]*?)\n\}/.exec(
      html(madePaper('x')),
    )![1]!;
    const picture = makePicture(smallViewer());
    const pinnedIds = picture.nodes.map(({ id }) => id);
    const drawn = subgraphSvg(picture, {
      pinnedIds,
      supernodes: [['group', ...pinnedIds.slice(0, 2)]],
      weights: 9,
    });
    const colours = [...drawn.matchAll(/ (fill|stroke)="(#[0-9a-f]+)"/g)].map(
      ([, name, colour]) => `[${name}="${colour}"]`,
    );
    expect(colours.length).toBeGreaterThan(5);
    expect(colours.filter((selector) => !dark.includes(selector))).toEqual([]);
    expect(dark).toContain(THEMES.dark.background);
  });
});

describe('the page as Markdown', () => {
  it('has no markup of the graph in it, and tables of even rows, whatever its texts are', () => {
    const shape = (paper: Paper) =>
      tablesOf(markdown(paper)).map((rows) => rows.map((cells) => cells.length));
    const usual = shape(madePaper('x'));
    expect(usual).toHaveLength(7);
    for (const rows of usual) expect(new Set(rows).size).toBe(1);
    fc.assert(
      fc.property(fc.oneof(fc.constant(NASTY), fc.string({ unit: 'binary' }), fc.string()), (text) => {
        const paper = madePaper(text);
        expect(shape(paper)).toEqual(usual);
        const kinds = nodesOf(markdown(paper)).map(({ type }) => type);
        expect(
          kinds.filter((kind) =>
            ['link', 'linkReference', 'definition', 'delete', 'emphasis'].includes(kind),
          ),
        ).toEqual([]);
        expect(kinds.filter((kind) => kind === 'image')).toHaveLength(1);
        expect(kinds.filter((kind) => kind === 'heading')).toHaveLength(8);
      }),
      { numRuns: 20 },
    );
  });

  it('has HTML for the strongest token, for lines in a cell and for code with a pipe, and nowhere else', () => {
    const found = nodesOf(markdown(madePaper(NASTY))).flatMap(({ type, value }) =>
      type === 'html' ? [value] : [],
    );
    expect(new Set(found)).toEqual(new Set(['<b>', '</b>', '<code>', '</code>']));
    const usual = nodesOf(markdown(madePaper('x'))).flatMap(({ type, value }) =>
      type === 'html' ? [value] : [],
    );
    expect(new Set(usual)).toEqual(new Set(['<b>', '</b>']));
  });

  it('links to the figure beside it, or says that there is none', () => {
    const content = contentOf(madePaper('x'));
    expect(markdownOf(content, 'a (1).svg')).toContain('](a%20%281%29.svg)');
    expect(markdownOf(content, null)).not.toContain('![');
  });
});

describe('the content of the page', () => {
  it('leaves out of its provenance what the graph does not say', () => {
    const paper = madePaper('text');
    const { provenance } = paper;
    const unknown = { backend: 'circuit-tracer', device: 'unknown', dtype: 'float32', created: 'unknown' };
    const graph = { ...provenance.graph!, tracer_version: '0.2.0', ...unknown };
    const page = markdown({ ...paper, provenance: { ...provenance, graph } });
    expect(page).toContain('| made by | tracer 0.2.0, circuit-tracer, float32 |');
    expect(page).toContain('| made on | – |');
    const pulled = { ...graph, backend: '', device: '', dtype: '', created: '' };
    expect(markdown({ ...paper, provenance: { ...provenance, graph: pulled } })).toContain(
      '| made by | tracer 0.2.0 |',
    );
  });

  it('says why something was not measured, and keeps the prediction', () => {
    const paper = madePaper('x');
    const effects = {
      ...paper.effects,
      measured: { state: 'not_measured', reason: 'the model is away' } as const,
      rows: paper.effects.rows.map((row) => ({
        ...row,
        says: null,
        changes: row.changes.map((change) => ({ ...change, measured: null, probability: null })),
      })),
      rank_correlation: null,
    };
    const text = markdown({ ...paper, effects });
    expect(text).toContain('**Not measured:** the model is away.');
    expect(text).toMatch(/\| x \| 2 \| `x` \| -11\.88 \| not measured \|/);
  });

  it('has no table of effects where nothing is known of them', () => {
    const paper = madePaper('x');
    const measured = { state: 'not_measured', reason: 'a' } as const;
    const text = markdown({ ...paper, effects: { ...paper.effects, measured, not_predicted: 'b' } });
    expect(text).toContain('b.');
    expect(tablesOf(text)).toHaveLength(6);
  });
});
