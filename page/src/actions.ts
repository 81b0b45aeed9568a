/** Page, actions: gestures and keys call these functions. */
import { batch, signal } from '@preact/signals';
import { describeNode } from '../../src/picture/labels.ts';
import { inputsOf, outputsOf } from '../../src/picture/picture.ts';
import { groupPinned } from '../../src/picture/groups.ts';
import { supernodeKey, supernodeOf as supernodeOfKey } from '../../src/picture/subgraph.ts';
import { announce, dialog, lowerTab } from './store/ui.ts';
import { edit, annotations, supernodeOf, togglePin, toggleSuggestion } from './store/annotations.ts';
import {
  clickedId,
  clickedIndex,
  found,
  hoveredId,
  labelOf,
  mostThresholds,
  picture,
  thresholds,
} from './store/opened.ts';

/** Boxes of the subgraph that are marked for grouping, by their key. */
export const markedKeys = signal<readonly string[]>([]);
/** The supernode whose name the dialog asks for. */
export const namedSupernode = signal<number | null>(null);
/** Incremented to move the focus to the label editor. */
export const labelFocus = signal(0);
/** Node that the graph panel scrolls into view; with the counter, one node can be requested twice. */
export const revealed = signal<{ readonly id: string; readonly count: number } | null>(null);

const THRESHOLD_DECIMALS = 3;

export function click(id: string | null): void {
  batch(() => {
    clickedId.value = id ?? '';
    if (id !== null && lowerTab.value === 'about') lowerTab.value = 'feature';
  });
  announceNode(id);
}

/** As `click`, and brings the node into view. */
export function visitNode(id: string): void {
  click(id);
  revealed.value = { id, count: (revealed.value?.count ?? 0) + 1 };
}

export function hover(id: string | null): void {
  hoveredId.value = id;
}

export function pin(id: string): void {
  const isPinned = togglePin(id);
  announce(isPinned ? `Pinned ${nameOf(id)}.` : `Unpinned ${nameOf(id)}.`);
}

export function pinClicked(): void {
  const id = hoveredId.value ?? clickedId.value;
  if (id !== '') pin(id);
}

export function nameOf(id: string): string {
  const index = picture.value?.indexById.get(id);
  return index === undefined ? id : labelOf.value(index);
}

export function announceNode(id: string | null): void {
  const shown = picture.value;
  const index = id === null ? undefined : shown?.indexById.get(id);
  if (shown !== null && index !== undefined) announce(describeNode(shown, index, labelOf.value));
}

/** Selects the node at the other end of the strongest link. */
export function followStrongest(side: 'inputs' | 'outputs'): void {
  const [shown, index] = [picture.value, clickedIndex.value];
  if (shown === null || index === null) return;
  const link = side === 'inputs' ? inputsOf(shown, index)[0] : outputsOf(shown, index)[0];
  if (link === undefined) {
    announce(`No ${side}.`);
    return;
  }
  visitNode(shown.nodes[(side === 'inputs' ? shown.source : shown.target)[link]!]!.id);
}

/** The next (1) or previous (-1) node that the search finds. */
export function nextFound(step: 1 | -1): void {
  const [shown, hits] = [picture.value, found.value];
  if (shown === null || hits === null || hits.length === 0) return;
  const place = hits.indexOf(clickedIndex.value ?? -1);
  const next = place === -1 ? (step === 1 ? 0 : hits.length - 1) : (place + step + hits.length) % hits.length;
  visitNode(shown.nodes[hits[next]!]!.id);
}

export function moveThreshold(which: 'node' | 'edge', by: number): void {
  const value = Number((thresholds.value[which] + by).toFixed(THRESHOLD_DECIMALS));
  setThreshold(which, Math.min(mostThresholds.value[which], Math.max(0, value)));
}

export function setThreshold(which: 'node' | 'edge', value: number): void {
  thresholds.value = { ...thresholds.value, [which]: value };
}

// ---- supernodes

/** The key of a node's box in the subgraph: its own id, or its supernode's. */
export function boxOf(id: string): string {
  const supernode = supernodeOf(id);
  return supernode === -1 ? id : supernodeKey(supernode);
}

export function membersOf(key: string): readonly string[] {
  const supernode = supernodeOfKey(key);
  return supernode === null ? [key] : (annotations.value.supernodes[supernode]?.slice(1) ?? []);
}

/** Marks the clicked node's box for grouping, pinning it first where needed. */
export function markClicked(): void {
  const id = clickedId.value;
  if (id === '') return;
  if (!annotations.value.pinnedIds.includes(id)) togglePin(id);
  const key = boxOf(id);
  const was = markedKeys.value.includes(key);
  markedKeys.value = was ? markedKeys.value.filter((other) => other !== key) : [...markedKeys.value, key];
  announce(was ? `${nameOf(id)} is no longer marked.` : `Marked ${nameOf(id)} for grouping.`);
}

/** Makes one supernode of all marked boxes and asks for its name. */
export function groupMarked(): void {
  const ids = markedKeys.value.flatMap((key) => membersOf(key));
  if (ids.length < 2) {
    announce('Mark at least two nodes with g, then group them.');
    return;
  }
  applyGroups(groupPinned(annotations.value.supernodes, ids, nameOf(ids[0]!)));
}

/** Applies a changed list of supernodes; asks for the name of one that is new or has grown. */
export function applyGroups(supernodes: readonly (readonly string[])[]): void {
  const before = annotations.value.supernodes;
  const grown = supernodes.findIndex((row) => !before.some((old) => isPart(row, old)));
  batch(() => {
    edit({ supernodes });
    markedKeys.value = [];
    if (grown !== -1) askName(grown);
  });
}

export function askName(supernode: number): void {
  namedSupernode.value = supernode;
  dialog.value = 'name';
}

export function clearPins(): void {
  edit({ pinnedIds: [], supernodes: [], sg_pos: '' });
  markedKeys.value = [];
}

/** The key `s`. */
export function suggestOrNot(): void {
  const isShown = toggleSuggestion();
  markedKeys.value = [];
  if (isShown === null) announce('No circuit is suggested where nodes are pinned or annotations are saved.');
  else announce(isShown ? 'The suggested circuit is shown.' : 'The suggested circuit is taken away.');
}

/** Whether all members of a supernode belonged to the old one. */
function isPart(row: readonly string[], old: readonly string[]): boolean {
  return row.slice(1).every((id) => old.indexOf(id, 1) > 0);
}
