/** Page, state: synchronises the address and the saved annotations with the state of the page. */
import { effect, signal } from '@preact/signals';
import type { Annotations } from '../../../src/viewer/api.ts';
import { exported, RequestFailed, saveAnnotations } from '../server.ts';
import { readAddress, writeAddress, type AddressState } from '../../../src/picture/address.ts';
import { annotations, editCount, isSuggested, pinnedSet, togglePin, unsaved } from './annotations.ts';
import {
  clickedId,
  closeGraph,
  fetchMore,
  loading,
  opened,
  openGraph,
  picture,
  thresholds,
} from './opened.ts';
import { writeStudyView } from './study-address.ts';
import { leaveStudy } from './study.ts';
import { leaveTraining, writeTrainingName } from './trainings.ts';
import { announce } from './ui.ts';

export type Saving = { readonly state: 'saved' | 'waiting' | 'saving' } | FailedSaving;

export interface FailedSaving {
  readonly state: 'failed';
  /** The graph whose annotations are not saved, and why. */
  readonly slug: string;
  readonly error: Error;
  /** Whether the server would refuse them again, so that there is no automatic retry. */
  readonly isFinal: boolean;
}

const SAVE_AFTER_MS = 500;
/** After a save that failed; doubled with each further failure. */
const RETRY_AFTER_MS = 10_000;
const LONGEST_RETRY_MS = 300_000;
/** Between two changes of the address: Safari refuses more than 100 in 30 s. */
const ADDRESS_PAUSE_MS = 400;

export const saving = signal<Saving>({ state: 'saved' });

let saveTimer: ReturnType<typeof setTimeout> | undefined;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let addressTimer: ReturnType<typeof setTimeout> | undefined;
let addressWritten = -Infinity;
let retryMs = RETRY_AFTER_MS;
let savedEdits = 0;
/** Errors of unsaved annotations, by slug. */
const failures = new Map<string, Error>();
/** Saves run one after another, so that an older state never replaces a newer one. */
let lastSave: Promise<void> = Promise.resolve();

/** Opens the graph of the address and starts the synchronisation. */
export async function startSync(): Promise<void> {
  dropToken();
  window.addEventListener('popstate', () => void openFromAddress());
  window.addEventListener('pagehide', () => flush(true));
  await openFromAddress();
  effect(() => {
    const state = addressState();
    void isSuggested.value; // decides whether pins are in the address
    clearTimeout(addressTimer);
    const pauseMs = Math.max(0, addressWritten + ADDRESS_PAUSE_MS - performance.now());
    if (state.slug !== null) addressTimer = setTimeout(() => writeNow('replace'), pauseMs);
  });
  effect(() => {
    if (editCount.value === savedEdits || exported !== null) return;
    saving.value = { state: 'waiting' };
    clearTimeout(saveTimer);
    saveTimer = setTimeout(() => flush(false), SAVE_AFTER_MS);
  });
}

/** Opens another graph; the browser's Back returns to the present view. */
export async function visit(slug: string, given: Partial<AddressState> = {}): Promise<void> {
  flush(false);
  writeNow('replace');
  await openGraph(slug, given);
  if (opened.value?.slug !== slug || loading.value.state === 'failed') return;
  leaveStudy();
  leaveTraining();
  writeNow('push');
}

/** Opens a graph with its last node of these clicked. Those that the thresholds leave out are pinned, so that they are drawn. */
export async function visitNodes(slug: string, ids: readonly string[]): Promise<void> {
  await visit(slug, { clickedId: ids.at(-1) ?? '' });
  const missing = (): string[] => ids.filter((id) => !picture.value?.indexById.has(id));
  if (opened.value?.slug !== slug) return;
  if (opened.value.kind === 'graph' && missing().length > 0) {
    for (const id of missing()) if (!pinnedSet.value.has(id)) togglePin(id);
    await drawPinned();
  }
  for (const id of missing()) announce(`${slug} does not show the node ${id}.`);
}

/** A link that opens the present view. */
export function shareableLink(): string {
  writeNow('replace');
  return location.href;
}

/** Saves at once, also what was refused before. */
export function saveNow(): void {
  failures.clear();
  retryMs = RETRY_AFTER_MS;
  flush(false);
}

/** Saves what was pinned outside the drawn part of a graph file, which is then drawn with it. */
export async function drawPinned(): Promise<void> {
  flush(false);
  await lastSave;
  await fetchMore(true);
}

/** Discards the annotations of a graph that cannot be saved. */
export function discard(slug: string): void {
  unsaved.delete(slug);
  failures.delete(slug);
  showOutcome();
}

/** Whether the annotations of a graph are saved as they are shown. */
export function isSaved(slug: string): boolean {
  const now = saving.value;
  return now.state === 'saved' || (now.state === 'failed' && !unsaved.has(slug));
}

async function openFromAddress(): Promise<void> {
  flush(false);
  const given = readAddress(query());
  const slug = exported?.slug ?? given.slug;
  if (slug === undefined || slug === null) closeGraph();
  else await openGraph(slug, given);
}

function flush(last: boolean): void {
  clearTimeout(saveTimer);
  if (exported !== null) return;
  const slug = opened.value?.slug;
  if (slug !== undefined) {
    if (editCount.value !== savedEdits) {
      unsaved.set(slug, { ...annotations.value, clickedId: clickedId.value });
      failures.delete(slug); // they differ from those that were refused
    }
    savedEdits = editCount.value;
  }
  send(last);
}

/** Saves all unsaved annotations that were not refused for good, also of graphs that are closed. */
function send(last: boolean): void {
  clearTimeout(retryTimer);
  const save = async () => {
    const due = [...unsaved].filter(([slug]) => !isRefused(slug));
    if (due.length === 0) return;
    saving.value = { state: 'saving' };
    await Promise.all(due.map(([slug, edited]) => saveOne(slug, edited, last)));
    showOutcome();
    retryLater();
  };
  // A page that is being closed cannot wait for the previous save.
  lastSave = last ? save() : lastSave.then(save);
}

async function saveOne(slug: string, edited: Annotations, last: boolean): Promise<void> {
  try {
    await saveAnnotations(slug, edited, last);
    failures.delete(slug);
    if (unsaved.get(slug) === edited) unsaved.delete(slug); // else edited again meanwhile
  } catch (error) {
    if (unsaved.get(slug) === edited) failures.set(slug, error as Error);
  }
}

function showOutcome(): void {
  const [failure] = failures;
  if (failure !== undefined) {
    const [slug, error] = failure;
    saving.value = { state: 'failed', slug, error, isFinal: isRefused(slug) };
  } else if (saving.value.state !== 'waiting') saving.value = { state: 'saved' };
}

/** Retries saves that did not reach the server; those that it refused would be refused again. */
function retryLater(): void {
  clearTimeout(retryTimer);
  if (![...failures.keys()].some((slug) => !isRefused(slug))) {
    retryMs = RETRY_AFTER_MS;
    return;
  }
  retryTimer = setTimeout(() => send(false), retryMs);
  retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
}

function isRefused(slug: string): boolean {
  const error = failures.get(slug);
  return error instanceof RequestFailed && error.isFinal;
}

/** The token is in a cookie by now, and must not stay in the address, which is visible and shared. */
function dropToken(): void {
  const params = new URLSearchParams(location.search);
  if (exported !== null || !params.has('token')) return;
  params.delete('token');
  const rest = params.toString();
  history.replaceState(null, '', rest === '' ? location.pathname : `?${rest}`);
}

function addressState(): AddressState {
  const { pinnedIds, supernodes, sg_pos, clerps } = annotations.value;
  return {
    slug: opened.value?.slug ?? null,
    clickedId: clickedId.value,
    pinnedIds,
    supernodes,
    sg_pos,
    clerps,
    pruningThreshold: thresholds.value.node,
    edgeThreshold: thresholds.value.edge,
  };
}

/** A page that was opened from a file can change only the fragment of its address. */
function query(): string {
  return exported === null ? location.search.slice(1) : location.hash.slice(1);
}

function writeNow(how: 'replace' | 'push'): void {
  clearTimeout(addressTimer);
  const state = addressState();
  if (state.slug === null) return;
  const before = exported === null ? writeTrainingName(null, writeStudyView(null, query())) : query();
  const after = writeAddress(state, how === 'push' ? before : query(), !isSuggested.value);
  if (after === query()) return;
  addressWritten = performance.now();
  const address = exported === null ? `?${after}` : `#${after}`;
  if (how === 'push') history.pushState(null, '', address);
  else history.replaceState(null, '', address);
}
