/** View of `graph suggest`. */
import type { SuggestResult } from '../engine/graph/suggest.ts';
import type { GraphScores } from '../graph/scores.ts';
import { formatBytes, formatCount, formatDecimal } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';
import { plural } from '../plural.ts';

const right = 'right' as const;
/** Links on the screen; --json has all. */
const LISTED_LINKS = 15;

export function suggestView(result: SuggestResult, screen: Screen): string {
  const { boxes, links, left_out } = result;
  const about: [string, string][] = [['prompt', printable(result.prompt)]];
  if (left_out.n_boxes > 0)
    about.push([
      'left out',
      `${plural(left_out.n_boxes, 'weaker group')} with ${plural(left_out.n_features, 'feature')}; --max-boxes makes room`,
    ]);
  for (const { path, bytes } of result.files)
    about.push(['written', `${printable(path)} (${formatBytes(bytes)})`]);
  const shown = links.slice(0, LISTED_LINKS);
  const title = shown.length < links.length ? `Links (${shown.length} of ${links.length})` : 'Links';
  const linkRows = shown.map(({ source, target, weight, share }) => [
    `${printable(boxes[source]!.name)} → ${printable(boxes[target]!.name)}`,
    formatDecimal(weight),
    formatDecimal(share),
  ]);
  return sections(
    [
      [null, facts(about, screen)],
      ['Suggested boxes', boxTable(result, screen)],
      [
        title,
        table(
          [{ title: 'link' }, { title: 'weight', align: right }, { title: 'share', align: right }],
          linkRows,
          screen,
        ),
      ],
      ['Scores', scoreTable(result, screen)],
    ],
    screen,
  );
}

function boxTable({ boxes, tokens }: SuggestResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'box' },
    { title: 'kind' },
    { title: 'nodes', align: right },
    { title: 'layers', align: right },
    { title: 'on' },
    { title: 'influence', align: right },
    { title: 'alike', align: right },
  ];
  const rows = boxes.map(({ name, kind, ids, layers, positions, influence, why }) => [
    printable(name),
    kind,
    String(ids.length),
    layers === null ? '' : span(layers, String),
    span(positions, (position) => visibleToken(tokens[position] ?? '')),
    kind === 'logit' ? '' : formatDecimal(influence),
    why === null
      ? ''
      : [why.links_in, why.links_out, ...(why.labels === null ? [] : [why.labels])].map(hundredths).join(' '),
  ]);
  return table(columns, rows, screen);
}

function scoreTable({ scores, n_features, n_pruned_features }: SuggestResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'features of' },
    { title: 'features', align: right },
    { title: 'replacement', align: right },
    { title: 'completeness', align: right },
  ];
  const line = (name: string, count: number, { replacement, completeness }: GraphScores): string[] => [
    name,
    formatCount(count),
    formatDecimal(replacement),
    formatDecimal(completeness),
  ];
  return table(
    columns,
    [
      line('this circuit', n_features, scores.suggested),
      line('as many, chosen for the score', n_features, scores.greedy),
      line('the pruned graph', n_pruned_features, scores.pruned),
    ],
    screen,
  );
}

function span([first, last]: readonly [number, number], text: (value: number) => string): string {
  return first === last ? text(first) : `${text(first)}–${text(last)}`;
}

function hundredths(value: number): string {
  return value.toFixed(2);
}
