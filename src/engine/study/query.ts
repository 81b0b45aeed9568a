/** Engine, verb `graph query`: SQL over the tables of a study. */
import { availableParallelism } from 'node:os';
import { openStudy } from '../../study/open.ts';
import { queryTable } from '../../study/query.ts';
import type { QueryRequest, QueryResult } from './types.ts';

/** Errors are those of `openStudy` and `queryTable`. */
export async function query({ study: folder, sql, signal }: QueryRequest): Promise<QueryResult> {
  using study = await openStudy(folder, { threads: availableParallelism(), withAdded: true });
  const { columns, rows } = await queryTable(study.database, sql, signal);
  return { study: folder, columns, n_rows: rows.length, rows };
}
