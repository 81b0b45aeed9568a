/** View of `graph validate` of a circuit: one number with its interval, beside as many random features. */
import { READINGS, type CircuitShare, type ValidateCircuitResult } from '../engine/validate/types.ts';
import { closingFacts, heldText, subjectFacts } from './intervene-view.ts';
import { formatAmount, formatCount, formatDecimal, formatProbability, NO_NUMBER } from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table, type Column } from './table.ts';
import { printable } from './text.ts';

const right = 'right' as const;

const LEFT: Readonly<Record<(typeof READINGS)[number], string>> = {
  all: 'all (unchanged)',
  circuit: "the circuit's",
  none: 'none',
  without: "all but the circuit's",
  random: 'as many random ones',
  without_random: 'all but as many random ones',
};

export function circuitValidationView(result: ValidateCircuitResult, screen: Screen): string {
  const { recovered, lost, means, predicted, failed } = result;
  const columns: Column[] = [
    { title: 'features left' },
    { title: 'logit', align: right },
    { title: 'probability', align: right },
    { title: 'most likely', align: right },
  ];
  const rows = READINGS.map((name) => {
    const { logit, probability, is_first } = means[name];
    return [LEFT[name], formatDecimal(logit), formatProbability(probability), percent(is_first)];
  });
  return sections(
    [
      [
        null,
        facts(
          [
            [
              'circuit',
              `${printable(result.file)}: ${formatAmount(result.n_features, 'feature')}, found in ${formatAmount(result.n_found_in, 'graph')}`,
            ],
            ['tried on', `${formatAmount(result.n_prompts, 'other prompt')} of ${printable(result.where)}`],
            ...subjectFacts(result),
            ['held fixed', heldText(result)],
          ],
          screen,
        ),
      ],
      ['The answer, mean over prompts', table(columns, rows, screen)],
      [
        null,
        facts(
          [
            ['recovered', `${shown(recovered)} of what all features add to its logit, by the circuit alone`],
            ['random features', share(recovered.random)],
            ['lost', `${shown(lost)} of it, without the circuit`],
            ['random features', share(lost.random)],
            ...(predicted === null
              ? []
              : [
                  [
                    'predicted',
                    `${formatDecimal(predicted.mean)} by the graphs without the circuit, ${formatDecimal(predicted.actual_mean)} in the model`,
                  ] as const,
                  [
                    'rank correlation',
                    `${formatDecimal(predicted.rank_correlation)} (Spearman, over prompts)`,
                  ] as const,
                ]),
            ['seed', String(result.seed)],
            ...closingFacts(result, result.files),
          ],
          screen,
        ),
      ],
      [
        'Left out',
        failed.length === 0
          ? null
          : table(
              [{ title: 'line', align: right }, { title: 'slug' }, { title: 'reason' }],
              failed.map(({ line, slug, error }) => [
                formatCount(line),
                slug === null ? NO_NUMBER : printable(slug),
                printable(error.message),
              ]),
              screen,
            ),
      ],
    ],
    screen,
  );
}

function shown({ estimate }: CircuitShare): string {
  if (estimate === null) return NO_NUMBER;
  const [low, high] = estimate.interval;
  return `${percent(estimate.value)} (95 %: ${percent(low)} to ${percent(high)})`;
}

function share(value: number | null): string {
  return value === null ? NO_NUMBER : percent(value);
}

function percent(value: number): string {
  return `${Math.round(value * 100) + 0} %`; // a sum with 0 is never -0
}
