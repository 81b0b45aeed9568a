/** Study: which graphs a question is about, and the group that each is in. */
import { UsageError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import type { Study } from './open.ts';
import { queryTable } from './query.ts';
import { GRAPH_COLUMNS, quoted } from './tables.ts';

/** The column of the list of prompts that groups are taken from unless another is named. */
export const DEFAULT_BY = 'group';

export interface SelectedGraph {
  /** Number in the study. */
  readonly graph: number;
  readonly slug: string;
  /** As the list has it. */
  readonly prompt: string;
  /** As text; null where the graph has no value, or without a column. */
  readonly group: string | null;
}

export interface SelectionOptions {
  /** A column of the list of prompts, or of `graphs`. */
  readonly by?: string | undefined;
  /** A condition on the columns of `graphs`, in SQL. */
  readonly where?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** In the order of the study. Throws `UsageError` for a column that is not there, SQL that is refused, and when no graph is left. */
export async function selectGraphs(
  study: Study,
  { by, where, signal }: SelectionOptions,
): Promise<SelectedGraph[]> {
  const group = by === undefined ? 'NULL' : quoted(columnOf(study, by));
  const condition = where === undefined ? '' : `WHERE (${where}\n)`;
  const sql = `SELECT graph, slug, prompt, CAST(${group} AS VARCHAR) FROM graphs ${condition} ORDER BY graph`;
  const { rows } = await queryTable(study.database, sql, signal);
  if (rows.length === 0) {
    throw new UsageError({
      code: 'no_graphs',
      message: where === undefined ? `${study.folder} has no graph` : `no graph fulfils ${where}`,
      hint: `tracer graph query ${study.folder} "SELECT * FROM graphs LIMIT 3" shows what there is.`,
    });
  }
  return rows.map(([graph, slug, prompt, value]) => ({
    graph: graph as number,
    slug: slug as string,
    prompt: prompt as string,
    group: value as string | null,
  }));
}

/** The name in `graphs` of a column that may be named as in the list of prompts. Throws `UsageError`. */
export function columnOf(
  { folder, description }: Pick<Study, 'folder' | 'description'>,
  name: string,
): string {
  const listed = description.metadata.find((one) => one.name === name);
  const own = [...Object.keys(GRAPH_COLUMNS), ...description.metadata.map(({ column }) => column)];
  if (listed) return listed.column;
  if (own.includes(name)) return name;
  const names = [...description.metadata.map((one) => one.name), ...own];
  const close = nearest(name, names);
  throw new UsageError({
    code: 'unknown_column',
    message: `--by: ${folder} has no column '${name}'`,
    hint: close === undefined ? `Columns: ${names.join(', ')}.` : `Did you mean '${close}'?`,
  });
}

/** The graphs of one group. Throws `UsageError` when there is none, with the groups that there are. */
export function graphsOfGroup(graphs: readonly SelectedGraph[], by: string, group: string): SelectedGraph[] {
  const found = graphs.filter((one) => one.group === group);
  if (found.length > 0) return found;
  const groups = groupNames(graphs);
  const close = nearest(group, groups);
  throw new UsageError({
    code: 'unknown_group',
    message: `no graph has ${by} '${group}'`,
    hint: close === undefined ? `There are: ${groups.slice(0, 20).join(', ')}.` : `Did you mean '${close}'?`,
  });
}

/** In alphabetical order. */
export function groupNames(graphs: readonly SelectedGraph[]): string[] {
  return [...new Set(graphs.flatMap(({ group }) => group ?? []))].sort();
}
