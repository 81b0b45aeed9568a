/** View of `intervene --sweep`: one line a value. */
import type { SweepResult } from '../engine/intervene/types.ts';
import { closingFacts, headFacts, signed } from './intervene-view.ts';
import { formatDecimal, formatProbability } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { visibleToken } from './text.ts';

const right = 'right' as const;

/** Sign in front of a value, by the kind of change. */
const SIGNS = { set: '', scale: '× ', add: '+ ' } as const;

export function sweepView(result: SweepResult, screen: Screen): string {
  const { layer, position, feature, kind } = result.sweep;
  const best = result.baseline.top[0]!;
  const token = visibleToken(best.text);
  const columns: Column[] = [
    { title: 'value', align: right },
    { title: 'next token' },
    { title: 'probability', align: right },
    { title: `${token}`, align: right },
    { title: 'logit', align: right },
    { title: 'change', align: right },
    { title: 'divergence', align: right },
  ];
  const rows = result.points.map(({ value, top, kl_divergence, baseline_token }) => [
    `${SIGNS[kind]}${formatDecimal(value)}`,
    visibleToken(top[0]!.text),
    formatProbability(top[0]!.probability),
    formatProbability(baseline_token.probability),
    formatDecimal(baseline_token.logit),
    signed(baseline_token.logit_change, screen),
    formatDecimal(kl_divergence),
  ]);
  return sections(
    [
      [
        null,
        facts(
          [
            ...headFacts(result, result.tokens),
            ['feature', `${layer}:${position}:${feature}`],
            ['unchanged', `${token}, ${formatProbability(best.probability)}`],
          ],
          screen,
        ),
      ],
      [`Next token by value; probability and logit of ${token}`, table(columns, rows, screen)],
      [null, facts(closingFacts(result, result.files), screen)],
    ],
    screen,
  );
}
