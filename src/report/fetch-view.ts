/** View of `features fetch`: what came, layer by layer, or what would be fetched. */
import type { FeaturesFetchPlan, FeaturesFetchResult } from '../engine/features/fetch-types.ts';
import { formatAmount, formatBytes, formatCount, formatDuration } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable } from './text.ts';

const right = 'right' as const;
const MS_PER_SECOND = 1000;

export function fetchView(result: FeaturesFetchResult | FeaturesFetchPlan, screen: Screen): string {
  return result.dry_run ? planView(result, screen) : resultView(result, screen);
}

function resultView(result: FeaturesFetchResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'new', align: right },
    { title: 'pages', align: right },
    { title: 'labels', align: right },
  ];
  const rows = result.layers.map(({ layer, n_new, n_pages, n_labels }) => [
    String(layer),
    formatCount(n_new),
    formatCount(n_pages),
    formatCount(n_labels),
  ]);
  const { n_fetched, n_unknown, n_requests, bytes, stopped, failed } = result;
  const closing = facts(
    [
      ['fetched', `${formatAmount(n_fetched, 'page')} of ${formatAmount(result.n_features, 'feature')}`],
      ...countFacts(result),
      ...(n_unknown > 0 ? [['unknown there', formatCount(n_unknown)] as const] : []),
      ...(failed.length > 0 ? [['answers without use', formatCount(failed.length)] as const] : []),
      ...(stopped === null ? [] : [['stopped by', '--max'] as const]),
      ['received', `${formatBytes(bytes)} in ${formatAmount(n_requests, 'request')}`],
      ['time', formatDuration(result.timings_ms['fetch'] ?? 0)],
      ...sourceFacts(result),
    ],
    screen,
  );
  return sections(
    [
      [null, rows.length > 0 ? table(columns, rows, screen) : null],
      [null, closing],
    ],
    screen,
  );
}

function planView(result: FeaturesFetchPlan, screen: Screen): string {
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'requests', align: right },
    { title: 'bytes', align: right },
  ];
  const rows = result.layers.map(({ layer, n_requests, bytes }) => [
    String(layer),
    formatCount(n_requests),
    bytes === null ? 'not known' : formatBytes(bytes),
  ]);
  const closing = facts(
    [
      ['chosen', formatAmount(result.n_features, 'feature')],
      ...countFacts(result),
      ['requests', formatCount(result.n_requests)],
      ['bytes', result.bytes === null ? 'not known before' : formatBytes(result.bytes)],
      ['time', `at least ${formatDuration(result.least_seconds * MS_PER_SECOND)}`],
      ...sourceFacts(result),
    ],
    screen,
  );
  return sections(
    [
      [null, rows.length > 0 ? table(columns, rows, screen) : null],
      [null, closing],
    ],
    screen,
  );
}

function countFacts(result: FeaturesFetchResult | FeaturesFetchPlan) {
  const { n_kept, n_known_unknown, layers_without_exports: without } = result;
  return [
    ...(n_kept > 0 ? [['there before', formatCount(n_kept)] as const] : []),
    ...(n_known_unknown > 0 ? [['known to be unknown', formatCount(n_known_unknown)] as const] : []),
    ...(without.length > 0 ? [['layers without exports', without.join(', ')] as const] : []),
  ];
}

function sourceFacts({ source, folder, note }: FeaturesFetchResult | FeaturesFetchPlan) {
  return [
    ['source', printable(`Neuronpedia, ${source}`)] as const,
    ['kept in', printable(folder)] as const,
    ...(note === null ? [] : [['note', note] as const]),
  ];
}
