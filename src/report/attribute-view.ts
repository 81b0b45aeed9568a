/** What `attribute` shows: the size of the graph, what it explains, how much of it is explained, the strongest features. */
import type { AttributeResult } from '../engine/attribute-types.ts';
import { formatBytes, formatDecimal, formatDuration, formatProbability } from './numbers.ts';
import { backendText } from './run-view.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

const right = 'right' as const;

export function attributeView(result: AttributeResult, screen: Screen): string {
  const { scores, pruned } = result;
  const overview = facts(
    [
      ['model', printable(result.model)],
      ['transcoders', printable(result.transcoders)],
      ['backend', backendText(result)],
      ['prompt', printable(result.prompt)],
      [
        'nodes',
        `${result.n_nodes}: ${result.n_selected_features} of ${result.n_active_features} active features`,
      ],
      ['after pruning', `${pruned.n_nodes} nodes, ${pruned.n_edges} edges`],
      ['replacement', formatDecimal(scores.replacement)],
      ['completeness', formatDecimal(scores.completeness)],
    ],
    screen,
  );
  const files = result.files.map(({ path, bytes }): [string, string] => [
    'written',
    `${printable(path)} (${formatBytes(bytes)})`,
  ]);
  const times = Object.entries(result.timings_ms).map(([phase, ms]) => `${phase} ${formatDuration(ms)}`);
  const closing = facts(
    [...files, ['time', times.join(', ')], ['peak memory', formatBytes(result.peak_rss_bytes)]],
    screen,
  );
  return sections(
    [
      [null, overview],
      ['Explained tokens', targetTable(result, screen)],
      ['Strongest features', result.top_features.length > 0 ? featureTable(result, screen) : null],
      [null, closing],
    ],
    screen,
  );
}

function targetTable({ logit_targets }: AttributeResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'token' },
    { title: 'id', align: right },
    { title: 'probability', align: right },
  ];
  const rows = logit_targets.map(({ token_id, text, probability }) => [
    visibleToken(text),
    String(token_id),
    formatProbability(probability),
  ]);
  return table(columns, rows, screen);
}

function featureTable({ top_features }: AttributeResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'position', align: right },
    { title: 'token' },
    { title: 'feature', align: right },
    { title: 'activation', align: right },
    { title: 'influence', align: right },
  ];
  const rows = top_features.map(({ layer, position, token, feature, activation, influence }) => [
    String(layer),
    String(position),
    visibleToken(token),
    String(feature),
    activation === null ? '' : formatDecimal(activation),
    formatDecimal(influence),
  ]);
  return table(columns, rows, screen);
}
