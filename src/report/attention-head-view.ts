/** View of `attention --head`: where a query looks, and which pairs of sources make the score. */
import type { HeadResult, MarginalResult, ResidualSourceResult } from '../engine/attention/types.ts';
import { bar, largestOf } from './bars.ts';
import { closingFacts, subjectFacts } from './intervene-view.ts';
import { formatDecimal, formatProbability, NO_NUMBER } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Cell, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

const right = 'right' as const;

export function headView(result: HeadResult, screen: Screen): string {
  const { layer, head, query, key, tokens, contrasts, total } = result;
  const place = ({ position, token }: HeadResult['query']): string => `${position} ${visibleToken(token)}`;
  return sections(
    [
      [
        null,
        facts(
          [
            ...subjectFacts(result),
            ['tokens', tokens.map(({ text }) => visibleToken(text)).join(' ')],
            ['head', `${layer}.${head}, from ${place(query)} to ${place(key)}`],
            ['pattern', formatProbability(result.pattern)],
            ['score', scoreText(result)],
            [
              'against others',
              contrasts.mean === null
                ? NO_NUMBER
                : `${formatDecimal(contrasts.mean)} (their mean), ${formatDecimal(contrasts.pattern)} (by their pattern)`,
            ],
            ['explained below', `${whatText(result)}, ${formatDecimal(total)}`],
          ],
          screen,
        ),
      ],
      ['Where it looks', patternTable(result, screen)],
      ['Pairs of sources', pairTable(result, screen)],
      ['Query sources, with all key sources', marginalTable(result.query_marginal, screen)],
      ['Key sources, with all query sources', marginalTable(result.key_marginal, screen)],
      [`Groups by ${result.by?.grouping ?? ''}: query groups are rows`, groupTable(result, screen)],
      ['Effect on logits', effectTable(result, screen)],
      [null, facts(closingFacts(result, result.files), screen)],
    ],
    screen,
  );
}

function scoreText({ score, capped, cap_factor }: HeadResult): string {
  return cap_factor === 1
    ? formatDecimal(score)
    : `${formatDecimal(score)}, ${formatDecimal(capped)} after the cap`;
}

function whatText({ against, tokens }: HeadResult): string {
  if (against === null) return 'the score';
  if (against === 'mean') return 'the score against the mean of the other keys';
  if (against === 'pattern') return 'the score against the other keys by their pattern';
  return `the score against the key ${against} ${visibleToken(tokens[against]!.text)}`;
}

function patternTable({ pattern_row, visible, tokens, key }: HeadResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'key', align: right },
    { title: 'token' },
    { title: 'pattern', align: right },
    { title: '' },
  ];
  const rows = pattern_row.map((share, i): Cell[] => {
    const position = visible[0] + i;
    const name = visibleToken(tokens[position]!.text);
    return [
      String(position),
      position === key.position ? { text: name, paint: screen.paint.bold } : name,
      formatProbability(share),
      bar(share, 1, screen),
    ];
  });
  return table(columns, rows, screen);
}

/** Feature, token or word of a source. */
function sourceText({ id, token, label, in_graph }: ResidualSourceResult): string {
  const parts = [
    ...(token === null ? [] : [visibleToken(token)]),
    ...(label === null ? [] : [printable(label)]),
    ...(in_graph === false ? ['not in the graph'] : []),
  ];
  return parts.length === 0 ? id : `${id} (${parts.join(', ')})`;
}

function pairTable({ pairs, rest }: HeadResult, screen: Screen): string {
  const largest = Math.max(largestOf(pairs), Math.abs(rest));
  const columns: Column[] = [
    { title: 'value', align: right },
    { title: '' },
    { title: 'query source' },
    { title: 'key source' },
  ];
  const others = { text: 'all other pairs', paint: screen.paint.dim };
  return table(
    columns,
    [
      ...pairs.map(({ query, key, value }): Cell[] => [
        formatDecimal(value),
        bar(value, largest, screen),
        sourceText(query),
        sourceText(key),
      ]),
      [formatDecimal(rest), bar(rest, largest, screen), others, ''],
    ],
    screen,
  );
}

function marginalTable(sources: readonly MarginalResult[], screen: Screen): string {
  const largest = largestOf(sources);
  const columns: Column[] = [{ title: 'value', align: right }, { title: '' }, { title: 'source' }];
  const rows = sources.map((source): Cell[] => [
    formatDecimal(source.value),
    bar(source.value, largest, screen),
    sourceText(source),
  ]);
  return table(columns, rows, screen);
}

function groupTable({ by, groups }: HeadResult, screen: Screen): string | null {
  if (!by) return null;
  const names = groups[by.grouping];
  const places = Array.from(names.keys());
  // Groups that do not reach the head, such as features above it, would fill the screen with zeros.
  const rowPlaces = places.filter((row) => by.values[row]!.some((value) => value !== 0));
  const columnPlaces = places.filter((column) => by.values.some((row) => row[column] !== 0));
  const text = (value: number): string => value.toFixed(2).replace(/^-(0\.00)$/, '$1');
  const columns: Column[] = [
    { title: '' },
    ...columnPlaces.map((column): Column => ({ title: names[column]!, align: right })),
    { title: 'sum', align: right },
  ];
  const rows = rowPlaces.map((row): Cell[] => [
    { text: names[row]!, paint: screen.paint.dim },
    ...columnPlaces.map((column) => text(by.values[row]![column]!)),
    text(by.values[row]!.reduce((sum, value) => sum + value, 0)),
  ]);
  return table(columns, rows, screen);
}

function effectTable({ logit_effects }: HeadResult, screen: Screen): string {
  const largest = largestOf(logit_effects.map(({ total }) => ({ value: total })));
  const columns: Column[] = [
    { title: 'token' },
    { title: 'total', align: right },
    { title: '' },
    { title: 'direct', align: right },
  ];
  const rows = logit_effects.map(({ text, direct, total }): Cell[] => [
    visibleToken(text),
    formatDecimal(total),
    bar(total, largest, screen),
    formatDecimal(direct),
  ]);
  return table(columns, rows, screen);
}
