/** Page, keyboard: moves the hovered node in the graph panel. */
import type { Direction } from '../../../src/picture/navigate.ts';
import type { GraphView } from '../drawing/graph-view.ts';
import { announceNode } from '../actions.ts';
import { hoveredId } from '../store/opened.ts';

let view: GraphView | null = null;

export function setGraphView(shown: GraphView | null): void {
  view = shown;
}

export function graphView(): GraphView | null {
  return view;
}

/** Hovers the next node in a direction; Enter then clicks it. */
export function moveHover(direction: Direction): void {
  const id = view?.nextNode(direction) ?? null;
  if (id === null) return;
  hoveredId.value = id;
  view?.reveal(id);
  announceNode(id);
}
