/** Engine, `graph validate` of a circuit: its results as a table, which `docs/study.md` explains. */
import type { ResultRow } from '../../study/result-table.ts';
import type { ColumnType, Columns } from '../../study/tables.ts';
import { READINGS, type ValidatedPrompt } from './types.ts';

/** A row a prompt. */
export const VALIDATION_COLUMNS: Columns = {
  slug: 'VARCHAR',
  prompt: 'VARCHAR',
  answer: 'VARCHAR',
  answer_id: 'INTEGER',
  n_circuit: 'INTEGER',
  n_active: 'INTEGER',
  predicted: 'DOUBLE',
  ...Object.fromEntries(
    READINGS.flatMap((name) => [
      [`logit_${name}`, 'DOUBLE' satisfies ColumnType],
      [`probability_${name}`, 'DOUBLE' satisfies ColumnType],
      [`first_${name}`, 'DOUBLE' satisfies ColumnType],
    ]),
  ),
};

export function validationRow(one: ValidatedPrompt): ResultRow {
  const { slug, prompt, answer, token_id, n_circuit, n_active, predicted } = one;
  const readings = READINGS.flatMap((name) => {
    const { logit, probability, is_first } = one[name];
    return [
      [`logit_${name}`, logit],
      [`probability_${name}`, probability],
      [`first_${name}`, is_first],
    ];
  });
  return {
    ...{ slug, prompt, answer, answer_id: token_id, n_circuit, n_active, predicted },
    ...(Object.fromEntries(readings) as Record<string, number>),
  };
}
