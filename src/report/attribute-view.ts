/** View of `attribute`: size of the graph, explained tokens, scores, strongest features. */
import type { AttributeResult, VerificationResult } from '../engine/attribute/types.ts';
import { formatAmount, formatBytes, formatDecimal, formatDuration, formatProbability } from './numbers.ts';
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
  const verified = result.verification ? [verificationFact(result.verification)] : [];
  const times = Object.entries(result.timings_ms).map(([phase, ms]) => `${phase} ${formatDuration(ms)}`);
  const closing = facts(
    [...files, ...verified, ['time', times.join(', ')], ['peak memory', formatBytes(result.peak_rss_bytes)]],
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

function verificationFact(found: VerificationResult): [string, string] {
  const { ok, tolerance, n_edges, n_rows, worst_edge } = found;
  const errors = (worst: number, median: number): string =>
    `worst error ${formatDecimal(worst)}, median ${formatDecimal(median)}`;
  const failed = worst_edge
    ? `; ${worst_edge.source} to ${worst_edge.target} is ${formatDecimal(worst_edge.edge)}, measured ${formatDecimal(worst_edge.measured)}`
    : '';
  const lines = [
    `${ok ? 'ok' : 'FAILED'}, tolerance ${formatDecimal(tolerance)}`,
    `${formatAmount(n_edges, 'edge')}: ${errors(found.worst_edge_error, found.median_edge_error)}${ok ? '' : failed}`,
    `${formatAmount(n_rows, 'row sum')}: ${errors(found.worst_row_error, found.median_row_error)}`,
  ];
  return ['verified', lines.join('; ')];
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
  const hasLabels = top_features.some(({ label }) => label !== undefined);
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'position', align: right },
    { title: 'token' },
    { title: 'feature', align: right },
    { title: 'activation', align: right },
    { title: 'influence', align: right },
    ...(hasLabels ? [{ title: 'label' }] : []),
  ];
  const rows = top_features.map(({ layer, position, token, feature, activation, influence, label }) => [
    String(layer),
    String(position),
    visibleToken(token),
    String(feature),
    activation === null ? '' : formatDecimal(activation),
    formatDecimal(influence),
    ...(hasLabels ? [printable(label ?? '')] : []),
  ]);
  return table(columns, rows, screen);
}
