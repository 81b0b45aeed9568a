import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { linksToCsv, nodesToCsv, toDot, toGraphml } from '../../src/graph/export.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import { viewOf, type GraphView } from '../../src/graph/view.ts';
import { arbitraryGraph } from './random-graph.ts';

/** Texts that break formats: quotes, commas, line ends, markup, controls, halves of surrogate pairs. */
const nastyText = fc.string({
  unit: fc.constantFrom(
    '"',
    ',',
    '\n',
    '\r',
    '\t',
    '<',
    '&',
    '>',
    "'",
    '\\',
    ';',
    '\0',
    '\u0001',
    '\ud800',
    '\uffff',
    '🦊',
    'a',
    ' ',
  ),
});

const anyView = fc.tuple(arbitraryGraph(), nastyText).map(([graph, text]): GraphView => {
  const { provenance } = graph;
  const token_strings = provenance.token_strings.map((token) => token + text);
  return viewOf(pruneGraph({ ...graph, provenance: { ...provenance, token_strings } }));
});

/** A reader of RFC 4180, written from it. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
  while (field.lastIndex < text.length) {
    const match = field.exec(text);
    if (match === null) throw new Error('not CSV');
    row.push(match[1]?.replaceAll('""', '"') ?? match[2]!);
    if (match[3] === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

const XML_ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"' };
const fromXml = (text: string): string =>
  text.replace(/&(?:#(\d+)|(\w+));/g, (_, code: string | undefined, name: string) =>
    code === undefined ? XML_ENTITIES[name]! : String.fromCharCode(Number(code)),
  );
/** What XML cannot hold is replaced. */
const asXmlHolds = (text: string): string =>
  [...text]
    .map((c) => (['\0', '\u0001', '\uffff'].includes(c) || /^\p{Cs}$/u.test(c) ? '\ufffd' : c))
    .join('');

describe('exports', () => {
  it('to CSV read back as every node and every link, whatever the tokens hold', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        const [nodeHeader, ...nodes] = parseCsv(nodesToCsv(view));
        expect(nodeHeader!.slice(0, 4)).toEqual(['id', 'kind', 'label', 'layer']);
        const token = nodeHeader!.indexOf('token');
        expect(nodes.map((row) => [row[0], row[token]])).toEqual(
          view.nodes.map(({ id, token }) => [id, token]),
        );
        const [linkHeader, ...links] = parseCsv(linksToCsv(view));
        expect(linkHeader!.at(-1)).toBe('weight');
        expect(links.map((row) => [row[0], row[3], Number(row[6])])).toEqual(
          view.links.map(({ source, target, weight }) => [source, target, weight]),
        );
      }),
    );
  });

  it('to GraphML hold only characters that XML allows, and read back as every node and link', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        const xml = toGraphml(view);
        expect(xml).not.toMatch(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u);
        const tokens = [...xml.matchAll(/<data key="token">([^<]*)<\/data>/g)].map((match) =>
          fromXml(match[1]!),
        );
        expect(tokens).toEqual(view.nodes.map(({ token }) => asXmlHolds(token!)));
        const weights = [
          ...xml.matchAll(/<edge source="[^"<]+" target="[^"<]+"><data key="weight">([^<]+)</g),
        ];
        expect(weights.map((match) => Number(match[1]))).toEqual(view.links.map(({ weight }) => weight));
      }),
    );
  });

  it('to DOT keep every quoted text closed', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        const dot = toDot(view);
        const text = String.raw`"(?:[^"\\\n\r\0]|\\.)*"`;
        const line = new RegExp(
          `^(digraph tracer \\{|  rankdir=BT;|  ${text} \\[label=${text}, shape=\\w+\\];|  ${text} -> ${text} \\[label=${text}(, style=dashed)?\\];|\\}|)$`,
        );
        expect(dot.split('\n').filter((row) => !line.test(row))).toEqual([]);
        expect(dot.match(/ -> /g) ?? []).toHaveLength(view.links.length);
      }),
    );
  });
});
