/** Views of the questions about a study: `graph common`, `contrast`, `cluster` and `circuit`. */
import type {
  CircuitResult,
  ClusterResult,
  CommonResult,
  ContrastResult,
  NamedFeature,
} from '../engine/study/types.ts';
import type { SavedFileResult } from '../engine/result.ts';
import type { Difference } from '../study/contrast.ts';
import type { Holdout } from '../study/holdout.ts';
import type { Recurrence } from '../study/common.ts';
import { formatAmount, formatBytes, formatCount, formatDecimal, NO_NUMBER } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Cell, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

const right = 'right' as const;
const MOST_GROUPS = 5;
const P_DIGITS = 4;

type Section = readonly [title: string | null, body: string | null];

export function commonView(result: CommonResult, screen: Screen): string {
  const numbers: Column[] = [
    { title: 'graphs', align: right },
    { title: 'share', align: right },
    { title: '95 % interval', align: right },
    { title: 'influence', align: right },
  ];
  const cells = ({ n_graphs, share, interval, mean_influence }: Recurrence): string[] => [
    formatCount(n_graphs),
    percent(share),
    `${percent(interval[0])} to ${percent(interval[1])}`,
    formatDecimal(mean_influence),
  ];
  const parts = result.groups.flatMap((one): Section[] => {
    const title = `${one.group === null ? 'All' : printable(one.group)}, ${formatAmount(one.n_graphs, 'graph')}`;
    const features = one.features.map((feature) => [name(feature), ...cells(feature), label(feature)]);
    const links = one.links.map((link) => [link.source, link.target, ...cells(link)]);
    return [
      [
        `${title}: features (${formatCount(one.n_features)})`,
        table([{ title: 'feature' }, ...numbers, { title: 'label' }], features, screen),
      ],
      [
        `${title}: links (${formatCount(one.n_links)})`,
        table([{ title: 'from' }, { title: 'to' }, ...numbers], links, screen),
      ],
    ];
  });
  const left =
    result.n_without_group === 0
      ? null
      : `${formatAmount(result.n_without_group, 'graph')} without ${printable(result.by ?? '')}`;
  return sections([...parts, [null, left], ...written(result.files, screen)], screen);
}

export function contrastView(result: ContrastResult, screen: Screen): string {
  const { a, b, level } = result;
  const { features, links } = result.n_significant;
  const closing = facts(
    [
      ['A', `${printable(a.name)}, ${formatAmount(a.n_graphs, 'graph')}`],
      ['B', `${printable(b.name)}, ${formatAmount(b.n_graphs, 'graph')}`],
      ['tested', `${formatCount(result.n_tested)} features and links together`],
      ['permutations', `${formatCount(result.permutations)}, seed ${result.seed}`],
      [`at ${level * 100} %`, `${formatAmount(features, 'feature')}, ${formatAmount(links, 'link')}`],
    ],
    screen,
  );
  const numbers: Column[] = [
    { title: 'in A', align: right },
    { title: 'in B', align: right },
    { title: 'difference', align: right },
    { title: 'p', align: right },
  ];
  const cells = (one: Difference): Cell[] => [
    formatCount(one.n_a),
    formatCount(one.n_b),
    formatDecimal(one.difference),
    one.p_adjusted <= level ? { text: shownP(one), paint: screen.paint.bold } : shownP(one),
  ];
  return sections(
    [
      [
        'Features',
        table(
          [{ title: 'feature' }, ...numbers, { title: 'label' }],
          result.features.map((feature) => [name(feature), ...cells(feature), label(feature)]),
          screen,
        ),
      ],
      [
        'Links',
        table(
          [{ title: 'from' }, { title: 'to' }, ...numbers],
          result.links.map((link) => [link.source, link.target, ...cells(link)]),
          screen,
        ),
      ],
      [null, closing],
      ...written(result.files, screen),
    ],
    screen,
  );
}

export function clusterView(result: ClusterResult, screen: Screen): string {
  const parts = result.clusters.map((one, i): Section => {
    const groups = one.groups.slice(0, MOST_GROUPS).map(({ group, n_graphs }) => {
      return `${group === null ? NO_NUMBER : printable(group)} ${formatCount(n_graphs)}`;
    });
    const rest = one.groups.length - groups.length;
    const about = facts(
      [
        ['typical', printable(one.typical)],
        ...(result.by === null
          ? []
          : [[printable(result.by), [...groups, ...(rest > 0 ? [`${rest} more`] : [])].join(', ')] as const]),
      ],
      screen,
    );
    const columns: Column[] = [
      { title: 'feature' },
      { title: 'in it', align: right },
      { title: 'elsewhere', align: right },
      { title: 'label' },
    ];
    const rows = one.features.map((feature) => [
      ...[name(feature), percent(feature.share), percent(feature.share_elsewhere), label(feature)],
    ]);
    const body = rows.length === 0 ? about : `${about}\n${table(columns, rows, screen)}`;
    return [`Cluster ${i + 1}, ${formatAmount(one.n_graphs, 'graph')}`, body];
  });
  const closing = facts(
    [
      ['graphs', `${formatCount(result.n_graphs)} of ${formatCount(result.n_selected)}`],
      ['silhouette', formatDecimal(result.silhouette)],
    ],
    screen,
  );
  return sections([...parts, [null, closing], ...written(result.files, screen)], screen);
}

export function circuitView(result: CircuitResult, screen: Screen): string {
  const { group, by, holdout } = result;
  const columns: Column[] = [
    { title: 'feature' },
    { title: 'place', align: right },
    { title: 'token' },
    { title: 'graphs', align: right },
    { title: 'influence', align: right },
    { title: 'label' },
  ];
  const rows = result.features.map((one) => [
    ...[
      name(one),
      String(one.place),
      visibleToken(one.token),
      percent(one.share),
      formatDecimal(one.influence),
    ],
    label(one),
  ]);
  const about = facts(
    [
      ['circuit', `${formatAmount(result.n_features, 'feature')}, ${formatAmount(result.n_links, 'link')}`],
      ['found in', formatAmount(result.n_graphs, 'graph')],
      ...(group === null ? [] : [['group', printable(`${by} ${group}`)] as const]),
      ['in at least', `${percent(result.share)} of the graphs, places counted from the ${result.align}`],
      ['replacement', `${formatDecimal(result.scores.replacement)} (mean of the graphs)`],
      ['completeness', `${formatDecimal(result.scores.completeness)} (mean of the graphs)`],
    ],
    screen,
  );
  return sections(
    [
      [null, about],
      ['Strongest features', table(columns, rows, screen)],
      ['On held-out graphs', holdout && holdoutFacts(holdout, result.seed, screen)],
      ...written(result.files, screen),
    ],
    screen,
  );
}

function holdoutFacts(holdout: Holdout, seed: number | null, screen: Screen): string {
  const { recovered, carried } = holdout;
  const share = (value: number | null): string => (value === null ? NO_NUMBER : percent(value));
  return facts(
    [
      ['graphs', `${formatCount(holdout.n_held_out)} (seed ${seed})`],
      [
        'recovered',
        recovered === null
          ? NO_NUMBER
          : `${percent(recovered.value)} (95 %: ${percent(recovered.interval[0])} to ${percent(recovered.interval[1])}) of what all features carry beyond none`,
      ],
      ['where it was found', share(holdout.recovered_found_on)],
      ['random features', share(holdout.recovered_random)],
      [
        'carried from tokens',
        `${formatDecimal(carried.circuit)} by the circuit, ${formatDecimal(carried.all)} by all features, ${formatDecimal(carried.none)} by none`,
      ],
    ],
    screen,
  );
}

/** The adjusted one. */
function shownP({ p_adjusted }: Difference): string {
  return p_adjusted.toFixed(P_DIGITS);
}

function name({ layer, feature }: NamedFeature): string {
  return `${layer}/${feature}`;
}

function label({ label: text }: NamedFeature): string {
  return text === null ? '' : printable(text);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

function written(files: readonly SavedFileResult[], screen: Screen): Section[] {
  if (files.length === 0) return [];
  const rows = files.map(
    ({ path, bytes }) => ['written', `${printable(path)} (${formatBytes(bytes)})`] as const,
  );
  return [[null, facts(rows, screen)]];
}
