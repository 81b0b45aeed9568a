/** Views of `graph`, one for each subcommand. */
import type { DiffResult, PathsResult, PruneResult, ScoresResult, TopResult } from '../engine/graph/graph.ts';
import type { ExportResult, MergeResult } from '../engine/graph/export.ts';
import type { ImportResult } from '../engine/graph/import.ts';
import { unreachable } from '../errors.ts';
import type { SavedFileResult } from '../engine/result.ts';
import type { NodeResult } from '../graph/nodes.ts';
import type { GraphScores } from '../graph/scores.ts';
import type { FeatureTotal } from '../graph/totals.ts';
import { formatBytes, formatCount, formatDecimal, formatProbability } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

const right = 'right' as const;

function written(files: readonly SavedFileResult[]): [string, string][] {
  return files.map(({ path, bytes }) => ['written', `${printable(path)} (${formatBytes(bytes)})`]);
}

function keptText(kept: number, before: number): string {
  return `${formatCount(kept)} of ${formatCount(before)} kept`;
}

export function pruneView(result: PruneResult, screen: Screen): string {
  return facts(
    [
      ['graph', printable(result.file)],
      ['thresholds', `nodes ${result.node_threshold}, edges ${result.edge_threshold}`],
      ['nodes', keptText(result.n_nodes, result.before.n_nodes)],
      ['features', keptText(result.n_features, result.before.n_features)],
      ['edges', keptText(result.n_edges, result.before.n_edges)],
      ['replacement', formatDecimal(result.scores.replacement)],
      ['completeness', formatDecimal(result.scores.completeness)],
      ...written(result.files),
    ],
    screen,
  );
}

/** One line a graph, followed by one for its pinned nodes. */
export function scoresView({ graphs }: ScoresResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'graph' },
    { title: 'features', align: right },
    { title: 'replacement', align: right },
    { title: 'completeness', align: right },
  ];
  const line = (name: string, features: number, { replacement, completeness }: GraphScores): string[] => [
    name,
    formatCount(features),
    formatDecimal(replacement),
    formatDecimal(completeness),
  ];
  const rows = graphs.flatMap(({ file, n_features, scores, pinned }) => [
    line(printable(file), n_features, scores),
    ...(pinned ? [line('  pinned only', pinned.n_features, pinned.scores)] : []),
  ]);
  return table(columns, rows, screen);
}

export function topView({ prompt, top }: TopResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'position', align: right },
    { title: 'token' },
    { title: 'feature', align: right },
    { title: 'activation', align: right },
    { title: 'influence', align: right },
    { title: 'share so far', align: right },
  ];
  const rows = top.map((feature) => [
    String(feature.layer),
    String(feature.position),
    visibleToken(feature.token),
    String(feature.feature),
    feature.activation === null ? '' : formatDecimal(feature.activation),
    formatDecimal(feature.influence),
    formatProbability(feature.cumulative_share),
  ]);
  return sections(
    [
      [null, facts([['prompt', printable(prompt)]], screen)],
      [null, table(columns, rows, screen)],
    ],
    screen,
  );
}

/** `Dallas` for a token, `2:9:510` for a feature, `error 2:9`, `→ Austin` for a logit. */
function nodeName({ kind, layer, position, feature, token }: NodeResult): string {
  switch (kind) {
    case 'feature':
      return `${layer}:${position}:${feature} on ${visibleToken(token)}`;
    case 'error':
      return `error ${layer}:${position} on ${visibleToken(token)}`;
    case 'token':
    case 'logit':
      return visibleToken(token);
    default:
      return unreachable(kind);
  }
}

export function pathsView({ paths }: PathsResult, screen: Screen): string {
  if (paths.length === 0) return 'There is no path between them.';
  const columns: Column[] = [
    { title: '#', align: right },
    { title: 'strength', align: right },
    { title: 'path' },
  ];
  const rows = paths.map(({ strength, nodes, steps }, place) => [
    String(place + 1),
    formatDecimal(strength),
    nodes
      .map((node, i) =>
        i === 0 ? nodeName(node) : `→ ${nodeName(node)} (${formatDecimal(steps[i - 1]!.weight)})`,
      )
      .join('\n'),
  ]);
  return table(columns, rows, screen);
}

/** Default number of listed features; `--json` has all. */
const LISTED = 20;

/** @param listed number of lines of each kind */
export function diffView(result: DiffResult, screen: Screen, listed: number = LISTED): string {
  const totals = (features: readonly FeatureTotal[]): string | null => {
    if (features.length === 0) return null;
    const columns: Column[] = [
      { title: 'layer', align: right },
      { title: 'feature', align: right },
      { title: 'activation', align: right },
      { title: 'influence', align: right },
      { title: 'on' },
    ];
    const rows = features
      .slice(0, listed)
      .map(({ layer, feature, activation, influence, tokens }) => [
        String(layer),
        String(feature),
        formatDecimal(activation),
        formatDecimal(influence),
        tokens.map(visibleToken).join(' '),
      ]);
    return table(columns, rows, screen);
  };
  const changedColumns: Column[] = [
    { title: 'layer', align: right },
    { title: 'feature', align: right },
    { title: 'influence before', align: right },
    { title: 'after', align: right },
    { title: 'activation before', align: right },
    { title: 'after', align: right },
  ];
  const changed = result.changed
    .slice(0, listed)
    .map(({ layer, feature, before, after }) => [
      String(layer),
      String(feature),
      formatDecimal(before.influence),
      formatDecimal(after.influence),
      formatDecimal(before.activation),
      formatDecimal(after.activation),
    ]);
  const title = (text: string, found: readonly unknown[], all: number): string => {
    const shown = Math.min(found.length, listed);
    return shown < all ? `${text} (${shown} of ${formatCount(all)})` : text;
  };
  return sections(
    [
      [
        null,
        facts(
          [
            ['before', printable(result.before)],
            ['after', printable(result.after)],
            [
              'features',
              `${result.n_common} in both (${result.n_changed} changed), ${result.n_appeared} appeared, ${result.n_vanished} vanished`,
            ],
          ],
          screen,
        ),
      ],
      [title('Appeared', result.appeared, result.n_appeared), totals(result.appeared)],
      [title('Vanished', result.vanished, result.n_vanished), totals(result.vanished)],
      [
        title('Changed most', result.changed, result.n_changed),
        changed.length > 0 ? table(changedColumns, changed, screen) : null,
      ],
    ],
    screen,
  );
}

export function mergeView(result: MergeResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'node' },
    { title: 'graphs', align: right },
    { title: 'influence', align: right },
  ];
  const rows = result.merged.nodes
    .slice(0, LISTED)
    .map(({ label, n_graphs, influence }) => [printable(label), String(n_graphs), formatDecimal(influence)]);
  return sections(
    [
      [
        null,
        facts(
          [
            ['graphs', String(result.graphs.length)],
            ['merged', `${result.n_nodes} nodes, ${result.n_links} links`],
            ...written(result.files),
          ],
          screen,
        ),
      ],
      ['Most influential', rows.length > 0 ? table(columns, rows, screen) : null],
    ],
    screen,
  );
}

export function exportView(result: ExportResult, screen: Screen): string {
  return facts(
    [
      ['graph', printable(result.file)],
      ['format', result.format],
      ['kept', `${result.n_nodes} nodes, ${result.n_links} links`],
      ...written(result.files),
    ],
    screen,
  );
}

export function importView(result: ImportResult, screen: Screen): string {
  const { n_features, n_active_features } = result;
  return facts(
    [
      ['graph', printable(result.file)],
      ['prompt', printable(result.prompt)],
      ['model', printable(result.model)],
      ['transcoders', printable(result.scan)],
      ['features', `${formatCount(n_features)} of ${formatCount(n_active_features)} active ones`],
      ['layers', String(result.n_layers)],
      ['tokens', String(result.n_tokens)],
      ['logits', String(result.n_logits)],
      ['replacement', formatDecimal(result.scores.replacement)],
      ['completeness', formatDecimal(result.scores.completeness)],
      ...written(result.files),
    ],
    screen,
  );
}
