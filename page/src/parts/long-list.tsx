/** Page, parts: a list that shows its first rows and more on demand. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { onListKey } from './list-keys.ts';
import { useHoveredRow } from './node-row.tsx';

const FIRST_ROWS = 60;
const MORE_ROWS = 240;

export function LongList<Item>(props: {
  readonly label: string;
  readonly items: readonly Item[];
  readonly row: (item: Item) => ComponentChildren;
  /** When it changes, the list starts at its top again. */
  readonly of: string;
}) {
  const { label, items, row, of } = props;
  const [shown, setShown] = useState(FIRST_ROWS);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    setShown(FIRST_ROWS);
    list.current?.parentElement?.scrollTo(0, 0);
  }, [of]);
  useHoveredRow(list);
  const hidden = items.length - shown;
  return (
    <>
      <ul class="rows" aria-label={label} ref={list} onKeyDown={onListKey}>
        {items.slice(0, shown).map(row)}
      </ul>
      {hidden > 0 && (
        <button type="button" class="button more" onClick={() => setShown(shown + MORE_ROWS)}>
          {Math.min(hidden, MORE_ROWS)} more of {hidden}
        </button>
      )}
    </>
  );
}
