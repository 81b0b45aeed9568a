/** View of `train merge`: what was joined, and the table of `evaluate` on held-out documents. */
import type { MergeResult } from '../engine/train/merge.ts';
import { shownLayers } from '../engine/train/progress-line.ts';
import { evaluateView } from './evaluate-view.ts';
import { formatAmount, formatBytes, formatCount } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections } from './table.ts';
import { printable } from './text.ts';

export function mergeView(result: MergeResult, screen: Screen): string {
  const { recipe, missing_layers, evaluation, files, parts } = result;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const overview = facts(
    [
      ['model', printable(result.model)],
      ['set', printable(result.output)],
      ...parts.map(
        ({ folder, layers }) => [`layers ${shownLayers(layers)}`, `from ${printable(folder)}`] as const,
      ),
      ...(missing_layers.length > 0 ? [['missing layers', shownLayers(missing_layers)] as const] : []),
      ['features', `${formatAmount(recipe.d_transcoder, 'feature')} a layer, ${recipe.activation}`],
      ['files', `${formatCount(files.length)}, ${formatBytes(bytes)}`],
    ],
    screen,
  );
  return sections(
    [
      [null, overview],
      ['Evaluation', evaluation && evaluateView(evaluation, screen)],
    ],
    screen,
  );
}
