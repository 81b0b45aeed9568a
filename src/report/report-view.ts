/** View of `report`: what the page that was written says, in short. */
import type { ReportResult } from '../engine/report/types.ts';
import type { GraphScores } from '../graph/scores.ts';
import { formatBytes, formatDecimal, formatProbability, NO_NUMBER } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';
import { plural } from '../plural.ts';

const right = 'right' as const;

export function reportView(result: ReportResult, screen: Screen): string {
  const { circuit, effects, scores, files, targets } = result;
  const { measured } = effects;
  const shown = (value: GraphScores): string =>
    `replacement ${formatDecimal(value.replacement)}, completeness ${formatDecimal(value.completeness)}`;
  const about: [string, string][] = [
    ['prompt', printable(result.prompt)],
    [
      'answer',
      targets
        .slice(0, 1)
        .map(({ token, probability }) => `${visibleToken(token)} ${formatProbability(probability)}`)
        .join(''),
    ],
    ['circuit', `${plural(circuit.boxes.length, 'box', 'boxes')}, ${originOf(result)}`],
    ['scores', shown(scores.circuit.scores)],
    ...(scores.whole === null ? [] : [['whole graph', shown(scores.whole.scores)] as [string, string]]),
    ...(measured.state === 'measured'
      ? []
      : [['not measured', printable(measured.reason)] as [string, string]]),
    ...files.map(({ path, bytes }): [string, string] => [
      'written',
      `${printable(path)} (${formatBytes(bytes)})`,
    ]),
  ];
  const blocks: [string | null, string][] = [[null, facts(about, screen)]];
  if (effects.rows.length > 0) blocks.push(['Without a box', effectTable(result, screen)]);
  return sections(blocks, screen);
}

function originOf({ circuit: { origin, file } }: ReportResult): string {
  if (origin === 'suggested') return 'suggested';
  return file === null ? 'pinned in the file' : `of ${printable(file)}`;
}

function effectTable({ circuit, effects, targets }: ReportResult, screen: Screen): string {
  const columns: Column[] = [
    { title: 'without' },
    { title: 'features', align: right },
    { title: 'target' },
    { title: 'predicted', align: right },
    { title: 'measured', align: right },
    { title: 'it then says' },
  ];
  const number = (value: number | null): string => (value === null ? NO_NUMBER : formatDecimal(value));
  const rows = effects.rows.flatMap(({ box, n_features, changes, says }) =>
    changes.map(({ predicted, measured }, i) => [
      i > 0 ? '' : box === null ? 'all together' : printable(circuit.boxes[box]!.name),
      i > 0 ? '' : String(n_features),
      visibleToken(targets[effects.targets[i]!]!.token),
      number(predicted),
      number(measured),
      i > 0 || says === null ? '' : visibleToken(says.token),
    ]),
  );
  return table(columns, rows, screen);
}
