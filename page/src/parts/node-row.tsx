/** Page, parts: a node as a row of a list: position, label and pin button. */
import { effect } from '@preact/signals';
import type { ComponentChildren, RefObject } from 'preact';
import { useEffect } from 'preact/hooks';
import type { PictureNode } from '../../../src/picture/picture-graph.ts';
import { rowName } from '../../../src/picture/picture.ts';
import { hover, pin, visitNode } from '../actions.ts';
import { pinnedSet } from '../store/annotations.ts';
import { clickedId, hoveredId, labelOf, picture } from '../store/opened.ts';
import { ROW_BUTTON } from './list-keys.ts';
import { visibleToken } from './text.ts';

export function NodeRow(props: {
  readonly node: PictureNode;
  /** Columns before the name. */
  readonly before?: ComponentChildren;
  /** Buttons before the pin. */
  readonly actions?: ComponentChildren;
  /** Text for screen readers after the name. */
  readonly spoken?: string;
}) {
  const { node, before, actions, spoken } = props;
  const label = labelOf.value(node.index);
  const isPinned = pinnedSet.value.has(node.id);
  const place = placeOf(node);
  return (
    <li
      class="row"
      data-id={node.id}
      data-kind={node.kind}
      aria-current={clickedId.value === node.id ? 'true' : undefined}
      onMouseEnter={() => hover(node.id)}
      onMouseLeave={() => hover(null)}
    >
      <button
        type="button"
        class={ROW_BUTTON}
        aria-label={`${label}, ${node.kind}, ${place}${spoken === undefined ? '' : `, ${spoken}`}`}
        onClick={(event) => (event.ctrlKey || event.metaKey ? pin(node.id) : visitNode(node.id))}
        onFocus={() => hover(node.id)}
        onBlur={() => hover(null)}
      >
        {before}
        <KindMark kind={node.kind} />
        <span class="row-label">{label}</span>
        <span class="row-place">{place}</span>
      </button>
      {actions}
      <PinButton id={node.id} label={label} isPinned={isPinned} />
    </li>
  );
}

export function PinButton(props: {
  readonly id: string;
  readonly label: string;
  readonly isPinned: boolean;
}) {
  const { id, label, isPinned } = props;
  return (
    <button
      type="button"
      class="icon-button pin"
      aria-pressed={isPinned}
      aria-label={`Pin ${label}`}
      title={isPinned ? 'Unpin (p)' : 'Pin to the subgraph (p)'}
      onClick={() => pin(id)}
    >
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M5.5 2h5l-.8 5 2.3 2v1.2H8.6L8 14.5l-.6-4.3H4V9l2.3-2z" />
      </svg>
    </button>
  );
}

/** The mark of a kind of node, as it is drawn in the graph. */
export function KindMark({ kind }: { readonly kind: PictureNode['kind'] }) {
  return (
    <svg class={`kind kind-${kind}`} viewBox="0 0 10 10" aria-hidden="true">
      {kind === 'feature' && <circle cx="5" cy="5" r="3.6" />}
      {kind === 'error' && <path d="M5 1 9 5 5 9 1 5z" />}
      {kind === 'embedding' && <rect x="1.5" y="1.5" width="7" height="7" />}
      {kind === 'logit' && <path d="M5 1.2 9.2 8.6H.8z" />}
    </svg>
  );
}

export function placeOf(node: PictureNode): string {
  const row = picture.value === null ? '' : rowName(picture.value, node.row);
  return node.kind === 'logit' ? row : `${row} ${visibleToken(node.token)}`;
}

/** Highlights the row of the hovered node without rendering the list again. */
export function useHoveredRow(list: RefObject<HTMLElement | null>): void {
  useEffect(
    () =>
      effect(() => {
        const id = hoveredId.value;
        list.current?.querySelector('[data-hovered]')?.removeAttribute('data-hovered');
        if (id === null) return;
        list.current?.querySelector(`[data-id="${CSS.escape(id)}"]`)?.setAttribute('data-hovered', '');
      }),
    [],
  );
}
