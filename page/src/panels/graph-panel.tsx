/** Page, panel: the drawn graph. Arrow keys move through it, and the panel Nodes lists it. */
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { click, hover, pin, revealed } from '../actions.ts';
import { GraphView, type GraphState } from '../drawing/graph-view.ts';
import { setGraphView } from '../keyboard/graph-keys.ts';
import { Panel } from '../parts/panel.tsx';
import { count } from '../parts/text.ts';
import { theme } from '../store/ui.ts';
import { annotations } from '../store/annotations.ts';
import { clickedId, found, hoveredId, labelOf, opened, picture, visible } from '../store/opened.ts';

export function GraphPanel() {
  return (
    <Panel id="graph" title="Attribution graph" note={<VisibleCount />} actions={<ZoomButtons />}>
      <GraphHost />
    </Panel>
  );
}

function VisibleCount() {
  const [shown, seen] = [picture.value, visible.value];
  if (shown === null || seen === null) return null;
  const of = (part: number, all: number) => (part === all ? String(all) : `${part} of ${all}`);
  return (
    <span id="graph-count">
      {of(seen.nodeCount, shown.nodes.length)} nodes, {of(seen.linkCount, shown.linkCount)} links
    </span>
  );
}

function ZoomButtons() {
  return (
    <>
      <button
        type="button"
        class="icon-button"
        aria-label="Zoom in"
        title="Zoom in (+)"
        onClick={() => view?.zoomBy(ZOOM_STEP)}
      >
        +
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label="Zoom out"
        title="Zoom out (−)"
        onClick={() => view?.zoomBy(1 / ZOOM_STEP)}
      >
        −
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label="Show all"
        title="Show all (0)"
        onClick={() => view?.resetZoom()}
      >
        ⤢
      </button>
    </>
  );
}

export const ZOOM_STEP = 1.4;
let view: GraphView | null = null;

function GraphHost() {
  const host = useRef<HTMLDivElement>(null);
  const shown = picture.value;
  useEffect(() => {
    if (shown === null || host.current === null) return;
    const made = new GraphView(
      host.current,
      shown,
      { onHover: hover, onClick: click, onPin: pin },
      stateNow(),
    );
    view = made;
    setGraphView(made);
    // Signals update the view directly: hovering a mark renders no component.
    const stop = effect(() => {
      const state = stateNow();
      if (picture.value === shown) made.update(state);
    });
    const element = host.current;
    const stopPointing = effect(() => {
      if (hoveredId.value === null) delete element.dataset['hovered'];
      else element.dataset['hovered'] = hoveredId.value;
    });
    const stopRevealing = effect(() => {
      if (revealed.value !== null) made.reveal(revealed.value.id);
    });
    return () => {
      stop();
      stopPointing();
      stopRevealing();
      made.destroy();
      view = null;
      setGraphView(null);
    };
  }, [shown]);
  const label =
    shown === null
      ? 'Attribution graph'
      : `Attribution graph ${opened.value?.slug ?? ''}: ${count(shown.nodes.length, 'node')}, ${count(shown.linkCount, 'link')}`;
  return (
    <div
      ref={host}
      class="drawing"
      id="graph-drawing"
      role="application"
      aria-roledescription="attribution graph"
      aria-label={label}
      aria-describedby="graph-help"
      tabIndex={0}
    >
      <span id="graph-help" class="for-reader">
        Arrow keys go from node to node, Enter selects, P pins. The tab Nodes lists the same nodes.
      </span>
    </div>
  );
}

function stateNow(): GraphState {
  const hits = found.value;
  return {
    visible: visible.value!,
    labelOf: labelOf.value,
    theme: theme.value,
    hovered: hoveredId.value,
    clicked: clickedId.value === '' ? null : clickedId.value,
    pinned: annotations.value.pinnedIds,
    supernodes: annotations.value.supernodes,
    found: hits === null ? null : foundSet(hits),
  };
}

let lastHits: readonly number[] | null = null;
let lastSet: ReadonlySet<number> = new Set();

/** Returns the same set for the same hits, so that the view detects that nothing changed. */
function foundSet(hits: readonly number[]): ReadonlySet<number> {
  if (hits !== lastHits) {
    lastHits = hits;
    lastSet = new Set(hits);
  }
  return lastSet;
}
