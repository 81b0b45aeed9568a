/** Page, state: what people add to a graph, as it is saved beside it, and the way back from each change. */
import { batch, computed, signal } from '@preact/signals';
import type { Annotations } from '../../../src/viewer/api.ts';

/** All but the clicked node, which changes too often to be an annotation worth undoing. */
export type Marks = Omit<Annotations, 'clickedId'>;

export const NO_MARKS: Marks = { pinnedIds: [], supernodes: [], sg_pos: '', clerps: {}, notes: '' };

const UNDO_STEPS = 100;

export const marks = signal<Marks>(NO_MARKS);
/** Counts what people changed, so that opening a graph is not taken for a change. */
export const editCount = signal(0);
/** What the server has not confirmed yet, by slug: marks of a graph outlive a failed save and leaving it. */
export const unsaved = new Map<string, Annotations>();
const past = signal<readonly Marks[]>([]);
const future = signal<readonly Marks[]>([]);

export const pinnedSet = computed<ReadonlySet<string>>(() => new Set(marks.value.pinnedIds));
export const canUndo = computed(() => past.value.length > 0);
export const canRedo = computed(() => future.value.length > 0);

/** Shows the marks of a graph that was just opened. */
export function startMarks(given: Marks): void {
  batch(() => {
    marks.value = given;
    past.value = [];
    future.value = [];
  });
}

export function edit(change: Partial<Marks>): void {
  batch(() => {
    past.value = [...past.value, marks.value].slice(-UNDO_STEPS);
    future.value = [];
    marks.value = { ...marks.value, ...change };
    editCount.value += 1;
  });
}

export function undo(): void {
  travel(past, future);
}

export function redo(): void {
  travel(future, past);
}

function travel(from: typeof past, to: typeof past): void {
  const target = from.value.at(-1);
  if (target === undefined) return;
  batch(() => {
    to.value = [...to.value, marks.value];
    from.value = from.value.slice(0, -1);
    marks.value = target;
    editCount.value += 1;
  });
}

/** Pins or unpins; tells whether it is pinned now. */
export function togglePin(id: string): boolean {
  const { pinnedIds } = marks.value;
  const wasPinned = pinnedIds.includes(id);
  if (wasPinned) unpin([id]);
  else edit({ pinnedIds: [...pinnedIds, id] });
  return !wasPinned;
}

/** An unpinned node leaves its supernode. */
export function unpin(ids: readonly string[]): void {
  const { pinnedIds, supernodes } = marks.value;
  edit({ pinnedIds: pinnedIds.filter((id) => !ids.includes(id)), supernodes: without(supernodes, ids) });
}

/** Makes one supernode of these nodes, which are pinned with it. */
export function group(name: string, ids: readonly string[]): void {
  const { pinnedIds, supernodes } = marks.value;
  const unpinned = ids.filter((id) => !pinnedIds.includes(id));
  edit({ pinnedIds: [...pinnedIds, ...unpinned], supernodes: [...without(supernodes, ids), [name, ...ids]] });
}

export function renameSupernode(index: number, name: string): void {
  edit({ supernodes: marks.value.supernodes.map((row, i) => (i === index ? [name, ...row.slice(1)] : row)) });
}

export function dissolveSupernode(index: number): void {
  edit({ supernodes: marks.value.supernodes.filter((_row, i) => i !== index) });
}

/** Index of the supernode that holds a node; -1 when none does. */
export function supernodeOf(id: string): number {
  return marks.value.supernodes.findIndex((row) => row.indexOf(id, 1) > 0);
}

/** A supernode that loses its last node is gone. */
function without(supernodes: Marks['supernodes'], ids: readonly string[]): Marks['supernodes'] {
  return supernodes
    .map(([name = '', ...members]) => [name, ...members.filter((id) => !ids.includes(id))])
    .filter((row) => row.length > 1);
}
