/** Page, study: names of features and of the ends of links. */
import type { StudyContrast } from '../../../src/viewer/api.ts';
import { rowText, type ContrastRow } from '../store/study-address.ts';

export type Labels = StudyContrast['labels'];

/** The label of an end: `1/392`, `token` or `answer`; undefined without one. */
export function labelOfEnd(end: string, labels: Labels): string | undefined {
  return labels[end.replace('/', '_')];
}

/** `1/392 Texas`, or `1/392 Texas → answer`. */
export function rowName(row: ContrastRow, labels: Labels): string {
  const named = (end: string): string => [end, labelOfEnd(end, labels) ?? ''].join(' ').trim();
  return row.kind === 'feature' ? named(rowText(row)) : `${named(row.source)} → ${named(row.target)}`;
}
