/** Views of `features`: pages built from a corpus, and labels. */
import type { FeaturesBuildResult, LabelResult, LabelsResult } from '../engine/features/types.ts';
import { labelOrigin } from './inspect-view.ts';
import { formatAmount, formatBytes, formatCount, formatDuration, formatProbability } from './numbers.ts';
import { backendText } from './run-view.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable } from './text.ts';

const right = 'right' as const;

export function buildView(result: FeaturesBuildResult, screen: Screen): string {
  const { n_documents, n_windows, n_tokens, n_resumed_windows, timings_ms } = result;
  const times = Object.entries(timings_ms).map(([phase, ms]) => `${phase} ${formatDuration(ms)}`);
  const overview = facts(
    [
      ['model', printable(result.model)],
      ['transcoders', printable(result.transcoders)],
      ['backend', backendText(result)],
      [
        'corpus',
        `${formatAmount(n_documents, 'document')}, ${formatAmount(n_windows, 'window')}, ${formatAmount(n_tokens, 'token')}`,
      ],
      ...(n_resumed_windows > 0
        ? [['resumed after', formatAmount(n_resumed_windows, 'window')] as const]
        : []),
    ],
    screen,
  );
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'features', align: right },
    { title: 'ever active', align: right },
    { title: 'share', align: right },
  ];
  const rows = result.layers.map(({ layer, n_features, n_active }) => [
    String(layer),
    formatCount(n_features),
    formatCount(n_active),
    formatProbability(n_active / n_features),
  ]);
  const closing = facts(
    [
      ...writtenFacts(result.files),
      ['kept in memory', formatBytes(result.state_bytes)],
      ['time', times.join(', ')],
      ['peak memory', formatBytes(result.peak_rss_bytes)],
    ],
    screen,
  );
  return sections(
    [
      [null, overview],
      ['Features', table(columns, rows, screen)],
      [null, closing],
    ],
    screen,
  );
}

export function labelView({ layer, feature, label, file }: LabelResult, screen: Screen): string {
  const text = label === null ? 'no label' : `${printable(label.text)}${labelOrigin(label)}`;
  return facts(
    [
      [`layer ${layer}, feature ${feature}`, text],
      ['kept in', printable(file)],
    ],
    screen,
  );
}

export function labelsView(result: LabelsResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'feature', align: right },
    { title: 'label' },
  ];
  const rows = result.labels.map(({ layer, feature, text }) => [
    String(layer),
    String(feature),
    printable(text),
  ]);
  const closing = facts(
    [
      ['labels', `${formatCount(rows.length)} of ${printable(result.scan)}`],
      ...(result.n_imported === undefined ? [] : [['taken over', formatCount(result.n_imported)] as const]),
      ['kept in', printable(result.file)],
      ...writtenFacts(result.files ?? []),
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

function writtenFacts(files: FeaturesBuildResult['files']): [string, string][] {
  return files.map(({ path, bytes }) => ['written', `${printable(path)} (${formatBytes(bytes)})`]);
}
