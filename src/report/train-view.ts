/** View of `train`: what was trained, how long it took, and the table of `evaluate` on held-out documents. */
import { shownLayers } from '../engine/train/progress-line.ts';
import type { TrainResult } from '../engine/train/types.ts';
import { evaluateView, fidelityCells, FIDELITY_COLUMNS } from './evaluate-view.ts';
import { formatAmount, formatBytes, formatCount, formatDuration } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table } from './table.ts';
import { printable } from './text.ts';

export function trainView(result: TrainResult, screen: Screen): string {
  const { recipe, n_steps, n_tokens, n_resumed_steps, tokens_per_second, held_out, evaluation, files } =
    result;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const overview = facts(
    [
      ['model', printable(result.model)],
      ['set', printable(result.output)],
      [
        'kind',
        `${recipe.kind}, ${recipe.activation}, ${formatAmount(recipe.d_transcoder, 'feature')} a layer`,
      ],
      ...(result.shard
        ? [
            [
              'part',
              `${result.shard.part} of ${result.shard.of}, layers ${shownLayers(recipe.layers)}`,
            ] as const,
          ]
        : []),
      ['features', `from ${recipe.feature_input_hook} to ${recipe.feature_output_hook}`],
      [
        'trained',
        `${formatAmount(n_steps, 'step')} in ${formatCount(result.passes.length)} ${result.passes.length === 1 ? 'pass' : 'passes'}, ${formatAmount(n_tokens, 'token')}${tokens_per_second === null ? '' : `, ${formatCount(Math.round(tokens_per_second))} a second`}`,
      ],
      ...(n_resumed_steps > 0 ? [['resumed after', formatAmount(n_resumed_steps, 'step')] as const] : []),
      ...(result.corpus_ended
        ? [['corpus', `it ended before ${formatAmount(recipe.tokens, 'token')}`] as const]
        : []),
      ['files', `${formatCount(files.length)}, ${formatBytes(bytes)}`],
      [
        'time',
        Object.entries(result.timings_ms)
          .map(([phase, ms]) => `${phase} ${formatDuration(ms)}`)
          .join(', '),
      ],
      ['peak memory', formatBytes(result.peak_rss_bytes)],
    ],
    screen,
  );
  const rows = held_out.map((one) => fidelityCells(one, screen));
  return sections(
    [
      [null, overview],
      [
        'Held-out tokens, at the end of training',
        rows.length === 0 ? null : table(FIDELITY_COLUMNS, rows, screen),
      ],
      ['Evaluation', evaluation && evaluateView(evaluation, screen)],
    ],
    screen,
  );
}
