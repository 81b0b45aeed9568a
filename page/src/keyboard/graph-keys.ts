/** Page, keyboard: walking through the drawn graph. */
import type { Direction } from '../../../src/picture/navigate.ts';
import type { GraphView } from '../drawing/graph-view.ts';
import { announceNode } from '../actions.ts';
import { hoveredId } from '../store/opened.ts';

let view: GraphView | null = null;

export function keepGraphView(shown: GraphView | null): void {
  view = shown;
}

export function graphView(): GraphView | null {
  return view;
}

/** Hovers the next node in a direction; Enter then clicks it. */
export function walk(direction: Direction): void {
  const id = view?.nextNode(direction) ?? null;
  if (id === null) return;
  hoveredId.value = id;
  view?.reveal(id);
  announceNode(id);
}
