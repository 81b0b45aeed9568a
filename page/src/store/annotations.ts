/** Page, state: the annotations of the open graph, with undo and redo. */
import { batch, computed, signal } from '@preact/signals';
import type { Annotations } from '../../../src/viewer/api.ts';

/** Without the clicked node, whose changes are not undone. */
export type GraphAnnotations = Omit<Annotations, 'clickedId'>;

export const NO_ANNOTATIONS: GraphAnnotations = {
  pinnedIds: [],
  supernodes: [],
  sg_pos: '',
  clerps: {},
  notes: '',
};

const UNDO_STEPS = 100;

export const annotations = signal<GraphAnnotations>(NO_ANNOTATIONS);
/** Number of edits by the user; opening a graph does not count. */
export const editCount = signal(0);
/** Annotations that are not saved yet, by slug. They are kept after a failed save and after another graph is opened. */
export const unsaved = new Map<string, Annotations>();
const past = signal<readonly GraphAnnotations[]>([]);
const future = signal<readonly GraphAnnotations[]>([]);

export const pinnedSet = computed<ReadonlySet<string>>(() => new Set(annotations.value.pinnedIds));
/** The circuit that the server suggests for a graph that nobody has annotated; null where there is none. */
export const suggestion = signal<GraphAnnotations | null>(null);
/** Whether what is shown is the suggestion as it was made: it is then neither saved nor in the address. */
export const isSuggested = computed(
  () => suggestion.value !== null && annotations.value === suggestion.value,
);

export const canUndo = computed(() => past.value.length > 0);
export const canRedo = computed(() => future.value.length > 0);

/** Sets the annotations of a graph that was just opened, or shows a suggestion instead of none, which Undo takes away. */
export function resetAnnotations(given: GraphAnnotations, suggested: GraphAnnotations | null = null): void {
  batch(() => {
    suggestion.value = suggested;
    annotations.value = suggested ?? given;
    past.value = suggested === null ? [] : [given];
    future.value = [];
  });
}

export function edit(change: Partial<GraphAnnotations>): void {
  batch(() => {
    past.value = [...past.value, annotations.value].slice(-UNDO_STEPS);
    future.value = [];
    annotations.value = { ...annotations.value, ...change };
    editCount.value += 1;
  });
}

export function undo(): void {
  restore(past, future);
}

export function redo(): void {
  restore(future, past);
}

function restore(from: typeof past, to: typeof past): void {
  const target = from.value.at(-1);
  if (target === undefined) return;
  batch(() => {
    to.value = [...to.value, annotations.value];
    from.value = from.value.slice(0, -1);
    annotations.value = target;
    editCount.value += 1;
  });
}

/** Takes a suggested circuit away, or puts it into an empty subgraph. Null where it does not apply, else whether it is shown. */
export function toggleSuggestion(): boolean | null {
  if (isSuggested.value) {
    edit({ pinnedIds: [], supernodes: [], sg_pos: '' });
    return false;
  }
  if (suggestion.value === null || annotations.value.pinnedIds.length > 0) return null;
  const { pinnedIds, supernodes } = suggestion.value;
  edit({ pinnedIds, supernodes, sg_pos: '' });
  return true;
}

/** Pins or unpins; tells whether it is pinned now. */
export function togglePin(id: string): boolean {
  const { pinnedIds } = annotations.value;
  const wasPinned = pinnedIds.includes(id);
  if (wasPinned) unpin([id]);
  else edit({ pinnedIds: [...pinnedIds, id] });
  return !wasPinned;
}

/** An unpinned node leaves its supernode. */
export function unpin(ids: readonly string[]): void {
  const { pinnedIds, supernodes } = annotations.value;
  edit({ pinnedIds: pinnedIds.filter((id) => !ids.includes(id)), supernodes: without(supernodes, ids) });
}

/** Makes one supernode of these nodes, which are pinned with it. */
export function group(name: string, ids: readonly string[]): void {
  const { pinnedIds, supernodes } = annotations.value;
  const unpinned = ids.filter((id) => !pinnedIds.includes(id));
  edit({ pinnedIds: [...pinnedIds, ...unpinned], supernodes: [...without(supernodes, ids), [name, ...ids]] });
}

export function renameSupernode(index: number, name: string): void {
  edit({
    supernodes: annotations.value.supernodes.map((row, i) => (i === index ? [name, ...row.slice(1)] : row)),
  });
}

export function dissolveSupernode(index: number): void {
  edit({ supernodes: annotations.value.supernodes.filter((_row, i) => i !== index) });
}

/** Index of the supernode that holds a node; -1 when none does. */
export function supernodeOf(id: string): number {
  return annotations.value.supernodes.findIndex((row) => row.indexOf(id, 1) > 0);
}

/** A supernode that loses its last node is removed. */
function without(
  supernodes: GraphAnnotations['supernodes'],
  ids: readonly string[],
): GraphAnnotations['supernodes'] {
  return supernodes
    .map(([name = '', ...members]) => [name, ...members.filter((id) => !ids.includes(id))])
    .filter((row) => row.length > 1);
}
