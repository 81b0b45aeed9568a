/** View of `graph validate`: predicted and actual effect of each feature. */
import type { ValidateResult } from '../engine/validate/types.ts';
import { closingFacts, signed, subjectFacts } from './intervene-view.ts';
import { formatDecimal } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Cell, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

const right = 'right' as const;

export function validateView(result: ValidateResult, screen: Screen): string {
  const { features, direct, target } = result;
  const token = visibleToken(target.text);
  const columns: Column[] = [
    { title: 'layer', align: right },
    { title: 'position', align: right },
    { title: 'token' },
    { title: 'feature', align: right },
    { title: 'activation', align: right },
    { title: 'predicted', align: right },
    ...(direct ? [] : [{ title: 'edge only', align: right }]),
    { title: 'actual', align: right },
  ];
  const rows = features.map((feature): Cell[] => [
    String(feature.layer),
    String(feature.position),
    visibleToken(feature.token),
    String(feature.feature),
    formatDecimal(feature.activation),
    signed(feature.predicted, screen),
    ...(direct ? [] : [signed(feature.predicted_direct, screen)]),
    signed(feature.actual, screen),
  ]);
  return sections(
    [
      [
        null,
        facts(
          [
            ['graph', printable(result.file)],
            ...subjectFacts(result),
            ['prompt', printable(result.prompt)],
            ['held fixed', direct ? 'everything but the feature' : 'attention patterns'],
          ],
          screen,
        ),
      ],
      [
        `Change of ${token} when a feature is switched off`,
        features.length > 0 ? table(columns, rows, screen) : 'The graph has no features.',
      ],
      [
        null,
        facts(
          [
            [
              'rank correlation',
              `${formatDecimal(result.rank_correlation)} (Spearman, predicted and actual)`,
            ],
            ...(direct
              ? []
              : [['with edges only', formatDecimal(result.rank_correlation_direct)] as [string, string]]),
            ['largest error', formatDecimal(result.largest_error)],
            ...closingFacts(result, []),
          ],
          screen,
        ),
      ],
    ],
    screen,
  );
}
