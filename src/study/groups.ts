/** Study: the groups that graphs can be compared by: the values of a column. */
import type { Study } from './open.ts';
import { literal, quoted } from './tables.ts';

/** Of a column with more values none is a group. */
export const MOST_GROUPS = 200;
/** A column of the study's own that groups can be taken from, beside those of the list of prompts. */
const ANSWER_COLUMN = 'answer';

export interface Group {
  /** The value as text. */
  readonly name: string;
  readonly n_graphs: number;
  /** Means. */
  readonly replacement: number;
  readonly completeness: number;
}

export interface GroupColumn {
  /** As in the list of prompts. */
  readonly name: string;
  /** In alphabetical order. */
  readonly groups: readonly Group[];
}

/** The columns that have two groups or more of several graphs each, in the order of the study. */
export async function groupColumns({ database, description }: Study): Promise<GroupColumn[]> {
  const own = { name: ANSWER_COLUMN, column: ANSWER_COLUMN };
  const found: GroupColumn[] = [];
  for (const { name, column } of [...description.metadata, own]) {
    const rows = await database.rows(
      `SELECT CAST(${quoted(column)} AS VARCHAR) AS name, count(*)::INTEGER, avg(replacement), avg(completeness)
       FROM graphs WHERE ${quoted(column)} IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT ${MOST_GROUPS + 1}`,
    );
    const groups = rows.map(
      ([group, n_graphs, replacement, completeness]) =>
        ({ name: group, n_graphs, replacement, completeness }) as Group,
    );
    const nLarge = groups.filter(({ n_graphs }) => n_graphs > 1).length;
    if (groups.length <= MOST_GROUPS && nLarge > 1) found.push({ name, groups });
  }
  return found;
}

/** A condition that holds for the graphs of some groups of a column, by its name in `graphs`. */
export function inGroups(column: string, groups: readonly string[]): string {
  return `CAST(${quoted(column)} AS VARCHAR) IN (${groups.map(literal).join(', ')})`;
}
