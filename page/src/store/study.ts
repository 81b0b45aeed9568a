/** Page, state: the studies in the served folders, and the one that is shown: its groups, a contrast of two, the graphs behind a row. */
import { batch, signal } from '@preact/signals';
import type { GraphsBehind, StudyContrast, StudyDetail, StudyEntry } from '../../../src/viewer/api.ts';
import { exported, fetchBehind, fetchStudies, fetchStudy } from '../server.ts';
import { ContrastRun, type Loaded, type LoadedContrast } from './contrast-run.ts';
import {
  readStudyView,
  rowText,
  writeStudyView,
  type ContrastList,
  type ContrastRow,
  type Question,
  type StudyView,
} from './study-address.ts';
import { announce } from './ui.ts';

const IDLE = { state: 'idle' } as const;
/** The column that is compared first, where there is one of that name: it is that of `tracer graph contrast`. */
const FIRST_COLUMN = 'group';

export const studies = signal<readonly StudyEntry[]>([]);
export const studyView = signal<StudyView | null>(null);
export const studyDetail = signal<Loaded<StudyDetail>>(IDLE);
export const contrast = signal<LoadedContrast>(IDLE);
export const behind = signal<Loaded<GraphsBehind>>(IDLE);

const run = new ContrastRun();
let asking: AbortController | undefined;
/** What `studyDetail`, `contrast` and `behind` are of. */
let detailOf = '';
let contrastOf = '';
/** What `contrast` has a result of; it is shown while it is asked for again, since labels may have changed. */
let resultOf = '';
let behindOf = '';

/** Reads the list, and opens the study that the address names. */
export async function startStudies(): Promise<void> {
  if (exported !== null) return;
  window.addEventListener('popstate', openFromAddress);
  window.addEventListener('pagehide', () => run.stop(true));
  openFromAddress();
  try {
    studies.value = (await fetchStudies()).studies;
  } catch (error) {
    announce((error as Error).message);
  }
}

export function openStudy(name: string): void {
  go({ name, question: null, list: 'features', row: null }, 'push');
}

/** Without touching the address: another view is about to write its own. */
export function leaveStudy(): void {
  if (studyView.value === null) return;
  run.stop(false);
  asking?.abort();
  contrastOf = '';
  studyView.value = null;
}

export function closeStudy(): void {
  leaveStudy();
  writeAddress('push');
}

/** A contrast of two groups; the row stays, since it may be in the other contrast too. */
export function ask(question: Question): void {
  const view = studyView.value;
  if (view !== null) go({ ...view, question }, 'push');
}

export function showList(list: ContrastList): void {
  const view = studyView.value;
  if (view !== null) go({ ...view, list }, 'replace');
}

export function showBehind(row: ContrastRow | null): void {
  const view = studyView.value;
  if (view !== null) go({ ...view, row }, 'replace');
}

export function cancelContrast(): void {
  run.stop(false);
  contrast.value = { state: 'cancelled' };
  announce('Cancelled.');
}

/** After an error, or after it was cancelled. */
export function retryStudy(): void {
  if (studyDetail.value.state === 'failed') detailOf = '';
  if (contrast.value.state !== 'here') contrastOf = '';
  if (behind.value.state === 'failed') behindOf = '';
  load();
}

function openFromAddress(): void {
  const view = readStudyView(location.search);
  if (view === null) return leaveStudy();
  studyView.value = view;
  load();
}

function go(view: StudyView, how: 'push' | 'replace'): void {
  studyView.value = view;
  writeAddress(how);
  load();
}

/** Asks for what is not there yet. */
function load(): void {
  const view = studyView.value;
  if (view === null) return;
  loadDetail(view);
  if (view.question === null) return;
  loadContrast(view, view.question);
  loadBehind(view, view.question);
}

function loadDetail({ name }: StudyView): void {
  if (detailOf === name) return chooseGroups();
  detailOf = name;
  batch(() => {
    studyDetail.value = { state: 'loading' };
    contrast.value = IDLE;
    behind.value = IDLE;
  });
  [contrastOf, behindOf] = ['', ''];
  fetchStudy(name).then(
    (value) => {
      if (detailOf !== name) return;
      studyDetail.value = { state: 'here', value };
      chooseGroups();
    },
    (error: Error) => {
      if (detailOf === name) studyDetail.value = { state: 'failed', error };
    },
  );
}

/** Where the address names no groups: the two largest of the first column. */
function chooseGroups(): void {
  const [view, detail] = [studyView.value, studyDetail.value];
  if (view === null || view.question !== null || detail.state !== 'here') return;
  const { columns } = detail.value;
  const column = columns.find(({ name }) => name === FIRST_COLUMN) ?? columns[0];
  if (column !== undefined) go({ ...view, question: largestGroups(column) }, 'replace');
}

/** In the order of their names. */
export function largestGroups({ name, groups }: StudyDetail['columns'][number]): Question {
  const two = [...groups].sort((x, y) => y.n_graphs - x.n_graphs).slice(0, 2);
  const [a, b] = groups.filter((group) => two.includes(group));
  return { by: name, a: a!.name, b: b!.name };
}

function loadContrast({ name }: StudyView, question: Question): void {
  const key = JSON.stringify([name, question]);
  if (contrastOf === key) return;
  contrastOf = key;
  const isAgain = resultOf === key && contrast.value.state === 'here';
  if (!isAgain) contrast.value = { state: 'running', status: null };
  run.start({ kind: 'contrast', study: name, ...question }, (next) => {
    if (contrastOf !== key || (isAgain && next.state === 'running')) return;
    contrast.value = next;
    resultOf = next.state === 'here' ? key : '';
    if (next.state === 'here' && !isAgain) announce(outcome(next.value));
    if (next.state === 'failed') announce(`Failed: ${next.error.message}`);
  });
}

function loadBehind({ name, row }: StudyView, question: Question): void {
  const key = row === null ? '' : JSON.stringify([name, question, rowText(row)]);
  if (behindOf === key) return;
  behindOf = key;
  asking?.abort();
  if (row === null) {
    behind.value = IDLE;
    return;
  }
  const controller = new AbortController();
  asking = controller;
  behind.value = { state: 'loading' };
  fetchBehind(name, question, row, controller.signal).then(
    (value) => {
      if (behindOf !== key) return;
      behind.value = { state: 'here', value };
      announce(`${value.graphs.length} graphs have it.`);
    },
    (error: Error) => {
      if (controller.signal.aborted) {
        if (behindOf === key) behindOf = '';
      } else if (behindOf === key) behind.value = { state: 'failed', error };
    },
  );
}

function outcome({ a, b, n_significant, n_tested }: StudyContrast): string {
  const { features, links } = n_significant;
  return `${a.name} and ${b.name} differ in ${features} features and ${links} links of ${n_tested} that were tested.`;
}

function writeAddress(how: 'push' | 'replace'): void {
  const query = writeStudyView(studyView.value, location.search.slice(1));
  if (query === location.search.slice(1)) return;
  const address = query === '' ? location.pathname : `?${query}`;
  if (how === 'push') history.pushState(null, '', address);
  else history.replaceState(null, '', address);
}
