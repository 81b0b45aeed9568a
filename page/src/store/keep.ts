/** Page, state: keeps the address and the server's annotations in step with what is shown. */
import { effect, signal } from '@preact/signals';
import type { Annotations } from '../../../src/viewer/api.ts';
import { exported, saveAnnotations } from '../server.ts';
import { readAddress, writeAddress, type AddressState } from './address.ts';
import { editCount, marks, unsaved } from './marks.ts';
import { clickedId, closeGraph, opened, openGraph, thresholds } from './opened.ts';

export type Saving =
  { readonly state: 'saved' | 'waiting' | 'saving' } | { readonly state: 'failed'; readonly error: Error };

const SAVE_AFTER_MS = 500;
/** After a save that failed. */
const RETRY_AFTER_MS = 10_000;
/** Between two changes of the address: Safari refuses more than 100 in 30 s. */
const ADDRESS_PAUSE_MS = 400;

export const saving = signal<Saving>({ state: 'saved' });

let saveTimer: ReturnType<typeof setTimeout> | undefined;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let addressTimer: ReturnType<typeof setTimeout> | undefined;
let addressWritten = -Infinity;
let savedEdits = 0;
/** Saves run one after another, so that an older state never overtakes a newer one. */
let lastSave: Promise<void> = Promise.resolve();

/** Opens what the address names and keeps address and server in step from then on. */
export async function startKeeping(): Promise<void> {
  dropToken();
  window.addEventListener('popstate', () => void openFromAddress());
  window.addEventListener('pagehide', () => flush(true));
  await openFromAddress();
  effect(() => {
    const state = addressState();
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

/** Opens another graph, so that the browser's Back leads to the present one. */
export async function visit(slug: string): Promise<void> {
  flush(false);
  writeNow('replace');
  await openGraph(slug);
  if (opened.value?.slug === slug) writeNow('push');
}

/** The link that shows all this again. */
export function shareableLink(): string {
  writeNow('replace');
  return location.href;
}

export function saveNow(): void {
  flush(false);
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
  const slug = opened.value?.slug;
  if (exported !== null) return;
  if (slug === undefined) {
    send(last);
    return;
  }
  if (editCount.value !== savedEdits) unsaved.set(slug, { ...marks.value, clickedId: clickedId.value });
  savedEdits = editCount.value;
  send(last);
}

/** Sends all that the server has not confirmed, of graphs that were left meanwhile too. */
function send(last: boolean): void {
  clearTimeout(retryTimer);
  if (unsaved.size === 0) return;
  const save = async () => {
    saving.value = { state: 'saving' };
    try {
      await Promise.all([...unsaved].map(([slug, annotations]) => saveOne(slug, annotations, last)));
      if (saving.value.state === 'saving') saving.value = { state: 'saved' };
    } catch (error) {
      saving.value = { state: 'failed', error: error as Error };
      clearTimeout(retryTimer);
      retryTimer = setTimeout(() => send(false), RETRY_AFTER_MS);
    }
  };
  // A page that is being closed cannot wait for the save before.
  lastSave = last ? save() : lastSave.then(save);
}

async function saveOne(slug: string, annotations: Annotations, last: boolean): Promise<void> {
  await saveAnnotations(slug, annotations, last);
  if (unsaved.get(slug) === annotations) unsaved.delete(slug); // else edited again meanwhile
}

/** The token of the address is in a cookie by now, and should not stay where it is seen and shared. */
function dropToken(): void {
  const params = new URLSearchParams(location.search);
  if (exported !== null || !params.has('token')) return;
  params.delete('token');
  const rest = params.toString();
  history.replaceState(null, '', rest === '' ? location.pathname : `?${rest}`);
}

function addressState(): AddressState {
  const { pinnedIds, supernodes, sg_pos, clerps } = marks.value;
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

/** A page from disk may change only what follows the `#`. */
function query(): string {
  return exported === null ? location.search.slice(1) : location.hash.slice(1);
}

function writeNow(how: 'replace' | 'push'): void {
  clearTimeout(addressTimer);
  const state = addressState();
  if (state.slug === null) return;
  const after = writeAddress(state, query());
  if (after === query()) return;
  addressWritten = performance.now();
  const address = exported === null ? `?${after}` : `#${after}`;
  if (how === 'push') history.pushState(null, '', address);
  else history.replaceState(null, '', address);
}
