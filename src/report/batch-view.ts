/** View of `intervene --batch`: one line a case, and the tokens of unmet expectations. */
import type { BatchResult } from '../engine/intervene/types.ts';
import { closingFacts, subjectFacts } from './intervene-view.ts';
import { formatAmount, formatDecimal, formatProbability } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable, visibleToken } from './text.ts';

const right = 'right' as const;

export function batchView(result: BatchResult, screen: Screen): string {
  const { paint } = screen;
  const columns: Column[] = [
    { title: '' },
    { title: 'line', align: right },
    { title: 'case' },
    { title: 'before' },
    { title: 'after' },
    { title: 'probability', align: right },
    { title: 'divergence', align: right },
  ];
  const rows = result.cases.map((one) => [
    one.passed ? { text: 'ok', paint: paint.green } : { text: 'failed', paint: paint.red },
    String(one.line),
    printable(one.name ?? one.prompt),
    visibleToken(one.baseline.top[0]!.text),
    visibleToken(one.top[0]!.text),
    formatProbability(one.top[0]!.probability),
    formatDecimal(one.kl_divergence),
  ]);
  const failures = result.cases.flatMap(({ line, failure }) =>
    failure === null ? [] : [`line ${line}: ${printable(failure)}`],
  );
  const verdict =
    result.n_failed === 0
      ? `All expectations of ${formatAmount(result.n_cases, 'case')} came true.`
      : `${result.n_failed} of ${formatAmount(result.n_cases, 'case')} did not come true.`;
  return sections(
    [
      [null, facts(subjectFacts(result), screen)],
      ['Cases', table(columns, rows, screen)],
      ['Failures', failures.length > 0 ? failures.join('\n') : null],
      [null, verdict],
      [null, facts(closingFacts(result, []), screen)],
    ],
    screen,
  );
}
