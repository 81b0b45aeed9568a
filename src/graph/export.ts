/** Graph, export: GraphML, DOT of Graphviz, and CSV. */

import type { GraphView, ViewNode } from './view.ts';

/** Attributes of nodes, in the order of columns, with their types in GraphML. */
const NODE_FIELDS = {
  kind: 'string',
  label: 'string',
  layer: 'int',
  position: 'int',
  feature: 'int',
  token: 'string',
  activation: 'double',
  probability: 'double',
  influence: 'double',
} as const satisfies Partial<Record<keyof ViewNode, 'string' | 'int' | 'double'>>;

type NodeField = keyof typeof NODE_FIELDS;
const FIELD_NAMES = Object.keys(NODE_FIELDS) as NodeField[];

/** GraphML (http://graphml.graphdrawing.org), as Gephi, NetworkX and yEd read it. */
export function toGraphml({ nodes, links }: GraphView): string {
  const keys = FIELD_NAMES.map(
    (name) => `  <key id="${name}" for="node" attr.name="${name}" attr.type="${NODE_FIELDS[name]}"/>`,
  );
  const nodeLines = nodes.map((node) => {
    const data = FIELD_NAMES.filter((name) => node[name] !== null);
    const texts = data.map((name) => `<data key="${name}">${xmlText(String(node[name]))}</data>`);
    return `    <node id="${xmlText(node.id)}">${texts.join('')}</node>`;
  });
  const linkLines = links.map(
    ({ source, target, weight }) =>
      `    <edge source="${xmlText(source)}" target="${xmlText(target)}"><data key="weight">${weight}</data></edge>`,
  );
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
    ...keys,
    '  <key id="weight" for="edge" attr.name="weight" attr.type="double"/>',
    '  <graph edgedefault="directed">',
    ...nodeLines,
    ...linkLines,
    '  </graph>',
    '</graphml>',
  ].join('\n')}\n`;
}

/** Characters that XML 1.0 cannot hold, not even escaped: controls, halves of surrogate pairs, and two non-characters. */
const NOT_XML = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu;
const XML_ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Escapes text for element content and quoted attributes. */
export function xmlText(text: string): string {
  return text
    .replace(NOT_XML, '\uFFFD')
    .replace(/[&<>"]/g, (character) => XML_ENTITIES[character]!)
    .replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`); // parsers read unescaped ones as spaces
}

const DOT_SHAPES = { feature: 'ellipse', error: 'diamond', token: 'box', logit: 'doubleoctagon' } as const;

/** DOT (https://graphviz.org/doc/info/lang.html): sources below, targets above, negative effects dashed. */
export function toDot({ nodes, links }: GraphView): string {
  const nodeLines = nodes.map(
    ({ id, label, kind }) => `  ${dotText(id)} [label=${dotText(label)}, shape=${DOT_SHAPES[kind]}];`,
  );
  const linkLines = links.map(({ source, target, weight }) => {
    const style = weight < 0 ? ', style=dashed' : '';
    return `  ${dotText(source)} -> ${dotText(target)} [label="${weight.toPrecision(DOT_DIGITS)}"${style}];`;
  });
  return `${['digraph tracer {', '  rankdir=BT;', ...nodeLines, ...linkLines, '}'].join('\n')}\n`;
}

/** Digits of a weight in a drawing. */
const DOT_DIGITS = 3;

function dotText(text: string): string {
  const escaped = text
    .replace(/\0/g, '\uFFFD') // Graphviz ends the text there
    .replace(/[\\"]/g, '\\$&')
    .replace(/\r?\n|\r/g, '\\n');
  return `"${escaped}"`;
}

/** One line a link (RFC 4180), with the fields of both ends. */
export function linksToCsv({ nodes, links }: GraphView): string {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const ends = (id: string): (string | number | null)[] => {
    const node = byId.get(id)!;
    return [id, node.kind, node.label];
  };
  return csv([
    ['source', 'source_kind', 'source_label', 'target', 'target_kind', 'target_label', 'weight'],
    ...links.map(({ source, target, weight }) => [...ends(source), ...ends(target), weight]),
  ]);
}

/** One line a node (RFC 4180), also for nodes without links. */
export function nodesToCsv({ nodes }: GraphView): string {
  return csv([
    ['id', ...FIELD_NAMES],
    ...nodes.map((node) => [node.id, ...FIELD_NAMES.map((name) => node[name])]),
  ]);
}

/** RFC 4180. */
export function csv(lines: readonly (readonly (string | number | null)[])[]): string {
  return lines.map((fields) => `${fields.map(csvField).join(',')}\r\n`).join('');
}

function csvField(value: string | number | null): string {
  const text = value === null ? '' : String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
