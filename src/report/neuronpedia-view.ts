/** Views of `graph upload` and `graph pull`. */
import type { PullResult, UploadResult } from '../engine/graph/neuronpedia-types.ts';
import { formatAmount, formatBytes } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts } from './table.ts';
import { printable } from './text.ts';

/** Ids on the screen; --json has all. */
const LISTED_IDS = 5;

type Rows = [string, string][];

export function uploadView(result: UploadResult, screen: Screen): string {
  const { subgraph, link } = result;
  const rows: Rows = [
    ['graph', printable(result.file)],
    ['prompt', printable(result.prompt)],
    ['as', printable(`${result.model}/${result.slug}`)],
    ['pages of features', printable(result.source_set ?? 'none known')],
    ['drawn', `${formatAmount(result.n_nodes, 'node')}, ${formatAmount(result.n_links, 'link')}`],
    ['size', `${formatBytes(result.bytes)}, sent as ${formatBytes(result.sent_bytes)}`],
  ];
  if (subgraph !== null) {
    rows.push(['subgraph', `${printable(subgraph.name)}: ${amounts(subgraph)}`]);
    if (subgraph.is_replaced) rows.push(['', 'in the place of the one of this name']);
  }
  const left = missing(result.missing_ids);
  if (link === null) return facts([...rows, ...left, ['sent', 'nothing: a dry run']], screen);
  // In a line of its own, since what is wrapped cannot be copied.
  return `${facts([...rows, ...left], screen)}\n\n${printable(link)}`;
}

export function pullView(result: PullResult, screen: Screen): string {
  const { annotations, own_subgraphs } = result;
  let rows: Rows = [
    ['graph', printable(result.link)],
    ['prompt', printable(result.prompt)],
    ['transcoders', printable(result.scan)],
    ['drawn', `${formatAmount(result.n_nodes, 'node')}, ${formatAmount(result.n_links, 'link')}`],
  ];
  if (annotations !== null) rows.push([`from the ${annotations.from}`, amounts(annotations)]);
  rows = [...rows, ...missing(result.missing_ids)];
  if (own_subgraphs.length > 0) {
    rows.push(['your subgraphs', own_subgraphs.map(({ id, name }) => printable(name ?? id)).join(', ')]);
  }
  for (const { path, bytes } of result.files)
    rows.push(['written', `${printable(path)} (${formatBytes(bytes)})`]);
  return facts(rows, screen);
}

function amounts(one: { n_pinned: number; n_supernodes: number; n_labels: number }): string {
  return [
    formatAmount(one.n_pinned, 'pin'),
    formatAmount(one.n_supernodes, 'supernode'),
    formatAmount(one.n_labels, 'label'),
  ].join(', ');
}

function missing(ids: readonly string[]): Rows {
  if (ids.length === 0) return [];
  const more = ids.length > LISTED_IDS ? ', …' : '';
  const text = `${formatAmount(ids.length, 'node')} that the graph does not hold: ${ids.slice(0, LISTED_IDS).map(printable).join(', ')}${more}`;
  return [['left out', text]];
}
