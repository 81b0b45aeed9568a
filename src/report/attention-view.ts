/** Views of `attention`: heads by effect, a head's score, edges by heads, a graph's influence by heads. */
import type {
  AttentionComputed,
  EdgeResult,
  EdgesResult,
  EndResult,
  HeadsResult,
  SummaryResult,
} from '../engine/attention/types.ts';
import { bar, largestOf } from './bars.ts';
import { closingFacts, subjectFacts } from './intervene-view.ts';
import { formatAmount, formatDecimal, formatProbability } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Cell, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

export { headView } from './attention-head-view.ts';

const right = 'right' as const;

/** Model, set, backend and prompt. */
export function subject(result: AttentionComputed): [string, string][] {
  return [
    ...subjectFacts(result),
    ...(result.graph === null ? [] : [['graph', printable(result.graph)] satisfies [string, string]]),
    ['tokens', result.tokens.map(({ text }) => visibleToken(text)).join(' ')],
  ];
}

/** A position with its token. */
export function at({ tokens }: AttentionComputed, position: number): string {
  return `${position} ${visibleToken(tokens[position]!.text)}`;
}

export function headsView(result: HeadsResult, screen: Screen): string {
  const { target, heads } = result;
  const largest = largestOf(heads.map(({ total }) => ({ value: total })));
  const columns: Column[] = [
    { title: 'head' },
    { title: 'total', align: right },
    { title: '' },
    { title: 'direct', align: right },
    { title: 'most from' },
    { title: 'to' },
    { title: 'of it', align: right },
  ];
  const rows = heads.map(({ layer, head, direct, total, query, key, value }) => [
    `${layer}.${head}`,
    formatDecimal(total),
    bar(total, largest, screen),
    formatDecimal(direct),
    at(result, key),
    at(result, query),
    formatDecimal(value),
  ]);
  return sections(
    [
      [null, facts([...subject(result), ['target', visibleToken(target.text)]], screen)],
      [`Heads by their effect on the logit of ${visibleToken(target.text)}`, table(columns, rows, screen)],
      [null, facts(closingFacts(result, result.files), screen)],
    ],
    screen,
  );
}

export function edgesView(result: EdgesResult, screen: Screen): string {
  return sections(
    [
      [null, facts(subject(result), screen)],
      ...result.edges.map((edge): [string, string] => [
        `${endText(edge.source)} → ${endText(edge.target)}`,
        edgeText(result, edge, screen),
      ]),
      [null, facts(closingFacts(result, result.files), screen)],
    ],
    screen,
  );
}

function endText({ id, token, label }: EndResult): string {
  return `${id} (${visibleToken(token)}${label === null ? '' : `, ${printable(label)}`})`;
}

function edgeText(result: EdgesResult, edge: EdgeResult, screen: Screen): string {
  const { weight, direct, last, first, through, rest_last, rest_first } = edge;
  const largest = Math.max(largestOf(last), largestOf(first), Math.abs(direct));
  const columns: Column[] = [
    { title: 'part' },
    { title: 'head' },
    { title: 'value', align: right },
    { title: '' },
    { title: 'position' },
  ];
  const row = (part: string, name: string, value: number, place: string): Cell[] => [
    part,
    name,
    formatDecimal(value),
    bar(value, largest, screen),
    place,
  ];
  const rest = (value: number): Cell[] => {
    const text = { text: 'the rest', paint: screen.paint.dim };
    return ['', text, formatDecimal(value), bar(value, largest, screen), ''];
  };
  const strongest = through[0];
  return [
    table(
      columns,
      [
        row('direct', '', direct, ''),
        ...last.map(({ layer, head, key, value }, i) =>
          row(i === 0 ? 'last head' : '', `${layer}.${head}`, value, `key ${at(result, key)}`),
        ),
        rest(rest_last),
        ...first.map(({ layer, head, query, value }, i) =>
          row(i === 0 ? 'first head' : '', `${layer}.${head}`, value, `query ${at(result, query)}`),
        ),
        rest(rest_first),
      ],
      screen,
    ),
    `weight ${formatDecimal(weight)}: direct and the last heads add up to it, as direct and the first ones do`,
    ...(strongest
      ? [
          `most is lost with head ${strongest.layer}.${strongest.head}: ${formatDecimal(strongest.value)} goes through it`,
        ]
      : []),
  ].join('\n');
}

export function summaryView(result: SummaryResult, screen: Screen): string {
  const { heads, shares, n_links } = result;
  const largest = largestOf(heads.map(({ last }) => ({ value: last })));
  const columns: Column[] = [
    { title: 'head' },
    { title: 'last', align: right },
    { title: '' },
    { title: 'first', align: right },
    { title: 'strongest link' },
    { title: 'of it', align: right },
  ];
  const rows = heads.map(({ layer, head, last, first, strongest }) => [
    `${layer}.${head}`,
    formatProbability(last),
    bar(last, largest, screen),
    formatProbability(first),
    `${strongest.source} → ${strongest.target}`,
    formatDecimal(strongest.value),
  ]);
  return sections(
    [
      [
        null,
        facts(
          [
            ...subject(result),
            ['links', `${formatAmount(n_links, 'link')} of the pruned graph`],
            ['without a head', formatProbability(shares.direct)],
            ['through heads', formatProbability(shares.heads)],
          ],
          screen,
        ),
      ],
      ['Share of influence by the last head of a path, and by the first', table(columns, rows, screen)],
      [null, facts(closingFacts(result, result.files), screen)],
    ],
    screen,
  );
}
