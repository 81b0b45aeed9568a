/** Page, state and address: the view of a study, in parameters beside those of a graph. */

/** Two values of a column. */
export interface Question {
  readonly by: string;
  readonly a: string;
  readonly b: string;
}

/** A feature, or a link between features, `token` and `answer`. */
export type ContrastRow =
  | { readonly kind: 'feature'; readonly layer: number; readonly feature: number }
  | { readonly kind: 'link'; readonly source: string; readonly target: string };

export type ContrastList = 'features' | 'links';

export interface StudyView {
  readonly name: string;
  /** Null: two groups are chosen by the page. */
  readonly question: Question | null;
  readonly list: ContrastList;
  /** Whose graphs are listed. */
  readonly row: ContrastRow | null;
}

const NAMES = ['study', 'study_by', 'study_a', 'study_b', 'study_list', 'study_row'] as const;
const FEATURE = /^(\d{1,15})\/(\d{1,15})$/;
const LINK = /^(\d{1,15}\/\d{1,15}|token)>(\d{1,15}\/\d{1,15}|answer)$/;

/** Null for an address without a study. Invalid parts are ignored. */
export function readStudyView(query: string): StudyView | null {
  const params = new URLSearchParams(query);
  const [name, by, a, b, list, row] = NAMES.map((one) => params.get(one));
  if (!name) return null;
  const isComplete = typeof by === 'string' && typeof a === 'string' && typeof b === 'string';
  return {
    name,
    question: isComplete ? { by, a, b } : null,
    list: list === 'links' ? 'links' : 'features',
    row: rowOf(row ?? ''),
  };
}

/** The query of a view; without one, the other parameters alone. */
export function writeStudyView(view: StudyView | null, before: string): string {
  const params = new URLSearchParams(before);
  for (const name of NAMES) params.delete(name);
  if (view === null) return params.toString();
  const { name, question, list, row } = view;
  params.set('study', name);
  if (question !== null) {
    params.set('study_by', question.by);
    params.set('study_a', question.a);
    params.set('study_b', question.b);
  }
  if (list !== 'features') params.set('study_list', list);
  if (row !== null) params.set('study_row', rowText(row));
  return params.toString();
}

/** `1/392`, or `1/392>answer`. */
export function rowText(row: ContrastRow): string {
  return row.kind === 'feature' ? `${row.layer}/${row.feature}` : `${row.source}>${row.target}`;
}

function rowOf(text: string): ContrastRow | null {
  const feature = FEATURE.exec(text);
  if (feature) return { kind: 'feature', layer: Number(feature[1]), feature: Number(feature[2]) };
  const link = LINK.exec(text);
  return link ? { kind: 'link', source: link[1]!, target: link[2]! } : null;
}
