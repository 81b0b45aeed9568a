/** View of `evaluate`: measures of each layer, of all layers replaced, and what is likely wrong. */
import type { EvaluateResult } from '../engine/evaluate/types.ts';
import {
  formatAmount,
  formatBytes,
  formatCount,
  formatDecimal,
  formatDuration,
  formatProbability,
  NO_NUMBER,
} from './numbers.ts';
import { backendText } from './run-view.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Cell, type Column } from './table.ts';
import { printable } from './text.ts';

const right = 'right' as const;

/** How well a layer is rebuilt. */
export const FIDELITY_COLUMNS: readonly Column[] = [
  { title: 'layer', align: right },
  { title: 'explained variance', align: right },
  { title: 'cosine', align: right },
  { title: 'active a token', align: right },
  { title: 'never active', align: right },
];

const COLUMNS: readonly Column[] = [
  ...FIDELITY_COLUMNS,
  { title: 'loss alone', align: right },
  { title: 'recovered', align: right },
  { title: 'KL', align: right },
];

export function fidelityCells(
  layer: Pick<
    EvaluateResult['layers'][number],
    'layer' | 'explained_variance' | 'cosine' | 'l0' | 'never_active_share'
  >,
  screen: Screen,
): Cell[] {
  return [
    String(layer.layer),
    variance(layer.explained_variance, screen),
    formatDecimal(layer.cosine),
    formatDecimal(layer.l0),
    formatProbability(layer.never_active_share),
  ];
}

export function evaluateView(result: EvaluateResult, screen: Screen): string {
  const { n_documents, n_windows, n_tokens, n_resumed_tokens, all, timings_ms } = result;
  const overview = facts(
    [
      ['model', printable(result.model)],
      ['transcoders', printable(result.transcoders)],
      ['backend', backendText(result)],
      ['features', printable(`from ${result.feature_input_hook} to ${result.feature_output_hook}`)],
      [
        'corpus',
        `${formatAmount(n_documents, 'document')}, ${formatAmount(n_windows, 'window')} of at most ${formatAmount(result.context, 'token')}, ${formatAmount(n_tokens, 'token')} measured`,
      ],
      ...(n_resumed_tokens > 0 ? [['resumed after', formatAmount(n_resumed_tokens, 'token')] as const] : []),
    ],
    screen,
  );
  const rows = result.layers.map((layer): Cell[] => [
    ...fidelityCells(layer, screen),
    formatDecimal(layer.ce_replaced),
    shareText(layer.ce_recovered),
    formatDecimal(layer.kl),
  ]);
  const together = facts(
    [
      ['loss', `${formatDecimal(all.ce_clean)} nats a token, ${formatDecimal(all.ce_replaced)} replaced`],
      ['with means instead', formatDecimal(all.ce_mean_ablated)],
      ['recovered', shareText(all.ce_recovered)],
      ['KL', `${formatDecimal(all.kl)} nats a token`],
    ],
    screen,
  );
  const findings = [...result.diagnosis, ...result.warnings].map((text) => printable(text)).join('\n');
  const times = Object.entries(timings_ms).map(([phase, ms]) => `${phase} ${formatDuration(ms)}`);
  const closing = facts(
    [
      ['predictions', formatCount(result.n_predictions)],
      ['time', times.join(', ')],
      ['peak memory', formatBytes(result.peak_rss_bytes)],
    ],
    screen,
  );
  return sections(
    [
      [null, overview],
      ['Layers', table(COLUMNS, rows, screen)],
      ['All layers replaced', together],
      ['What stands out', findings === '' ? null : findings],
      [null, closing],
    ],
    screen,
  );
}

function variance(value: number | null, screen: Screen): Cell {
  const text = formatDecimal(value);
  return value !== null && value < 0 ? { text, paint: screen.paint.red } : text;
}

/** Shares of the loss may lie outside 0 to 1. */
function shareText(share: number | null): string {
  if (share === null) return NO_NUMBER;
  const PERCENT = 100;
  return `${(share * PERCENT).toFixed(2)} %`;
}
