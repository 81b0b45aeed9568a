/**
 * Page, parts: a table of any length, of which the rows in view are in the document. It is one stop of the Tab key: arrow keys, Home, End
 * and the page keys move among its rows and the heads of its columns.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { announce } from '../store/ui.ts';
import { ROW_BUTTON } from './list-keys.ts';
import { nextSort, sortWords, tracksOf, type Column, type Sort } from './table-order.ts';
import { useVirtualRows } from './virtual-rows.ts';

export interface TableProps<Item> {
  readonly id: string;
  readonly label: string;
  readonly columns: readonly Column<Item>[];
  /** In the order in which they are shown. */
  readonly items: readonly Item[];
  readonly keyOf: (item: Item) => string;
  readonly sort: Sort | null;
  readonly onSort: (sort: Sort) => void;
  /** When it changes, the table starts at its top again. */
  readonly of: string;
  readonly onOpen: (item: Item) => void;
  /** All of a row in words, for screen readers. */
  readonly spoken: (item: Item) => string;
  readonly isCurrent?: (item: Item) => boolean;
  readonly isDisabled?: (item: Item) => boolean;
  readonly rowClass?: (item: Item) => string;
}

const HEAD = -1;

export function VirtualTable<Item>(props: TableProps<Item>) {
  const { id, label, columns, items, keyOf, sort, of, isCurrent } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const [head, setHead] = useState(0);
  const wantsFocus = useRef(false);
  const shown = Math.min(active, items.length - 1);
  const rows = useVirtualRows(scroller, items.length, shown);
  useEffect(() => {
    const current = isCurrent === undefined ? HEAD : items.findIndex(isCurrent);
    setActive(Math.max(0, current));
    if (current > 0) rows.scrollToIndex(current, { align: 'center' });
    else scroller.current?.scrollTo(0, 0);
  }, [of]);
  // The row of the focus may only come into the document when the table has been scrolled to it.
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    const place = active === HEAD ? `[data-head="${head}"]` : `[data-index="${shown}"] .${ROW_BUTTON}`;
    const target = scroller.current?.querySelector<HTMLElement>(place);
    if (!target) return;
    wantsFocus.current = false;
    target.focus({ preventScroll: active !== HEAD });
  });
  const go = (row: number, column = head) => {
    wantsFocus.current = true;
    setActive(row);
    setHead(column);
    if (row !== HEAD) rows.scrollToIndex(row, { align: 'auto' });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor((rows.scrollRect?.height ?? 0) / rows.options.estimateSize(0)) - 2);
    const next = keyTarget(event.key, active === HEAD ? HEAD : shown, items.length, page);
    const side = active === HEAD ? { ArrowLeft: -1, ArrowRight: 1 }[event.key] : undefined;
    if (next === null && side === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (side !== undefined) go(HEAD, Math.min(columns.length - 1, Math.max(0, head + side)));
    else go(next!);
  };
  const { tracks, least } = tracksOf(columns);
  return (
    <div
      class="table"
      id={id}
      role="grid"
      aria-label={label}
      aria-rowcount={items.length + 1}
      aria-colcount={columns.length}
      style={{ '--columns': tracks, '--least': least }}
      ref={scroller}
      onKeyDown={onKeyDown}
    >
      <div role="rowgroup" class="table-head">
        <div role="row" aria-rowindex={1} class="table-row">
          {columns.map((column, i) => (
            <Head
              key={column.name}
              column={column}
              place={i}
              isStop={active === HEAD && head === i}
              sort={sort}
              onSort={(next) => {
                props.onSort(next);
                announce(sortWords(column, next));
              }}
              onFocus={() => {
                setActive(HEAD);
                setHead(i);
              }}
            />
          ))}
        </div>
      </div>
      <div role="rowgroup" class="table-body" style={{ blockSize: `${rows.getTotalSize()}px` }}>
        {rows.getVirtualItems().map(({ index, start }) => {
          const item = items[index];
          return item === undefined ? null : (
            <Row
              key={keyOf(item)}
              {...props}
              item={item}
              index={index}
              start={start}
              isStop={active !== HEAD && index === shown}
              onFocus={() => setActive(index)}
            />
          );
        })}
      </div>
    </div>
  );
}

function Head<Item>(props: {
  readonly column: Column<Item>;
  readonly place: number;
  readonly isStop: boolean;
  readonly sort: Sort | null;
  readonly onSort: (sort: Sort) => void;
  readonly onFocus: () => void;
}) {
  const { column, place, isStop, sort, onSort, onFocus } = props;
  const { name, title, hint, isNumber = false } = column;
  const isSorted = sort?.by === name;
  return (
    <div
      role="columnheader"
      class={isNumber ? 'num' : undefined}
      aria-colindex={place + 1}
      aria-sort={isSorted ? (sort.isDescending ? 'descending' : 'ascending') : undefined}
    >
      <button
        type="button"
        class="head-button"
        data-head={place}
        data-column={name}
        title={hint ?? `Sort by ${title.toLowerCase()}`}
        tabIndex={isStop ? 0 : -1}
        onClick={() => onSort(nextSort(column, sort))}
        onFocus={onFocus}
      >
        {title}
        {isSorted && <span aria-hidden="true">{sort.isDescending ? ' ▾' : ' ▴'}</span>}
      </button>
    </div>
  );
}

function Row<Item>(
  props: TableProps<Item> & {
    readonly item: Item;
    readonly index: number;
    /** Pixels from the top of the body. */
    readonly start: number;
    readonly isStop: boolean;
    readonly onFocus: () => void;
  },
) {
  const { columns, item, index, start, isStop } = props;
  const isDisabled = props.isDisabled?.(item) ?? false;
  return (
    <div
      role="row"
      class={`table-row ${props.rowClass?.(item) ?? ''}`}
      aria-rowindex={index + 2}
      aria-selected={props.isCurrent?.(item) ?? false}
      aria-disabled={isDisabled || undefined}
      data-index={index}
      style={{ transform: `translateY(${start}px)` }}
      onClick={() => {
        if (!isDisabled) props.onOpen(item);
      }}
    >
      {columns.map(({ name, isNumber = false, cell }, i) => (
        <div
          role="gridcell"
          key={name}
          class={isNumber ? 'num' : undefined}
          data-column={name}
          aria-colindex={i + 1}
        >
          {i > 0 ? (
            cell(item)
          ) : (
            // Its click comes to the row.
            <button
              type="button"
              class={ROW_BUTTON}
              aria-label={props.spoken(item)}
              aria-disabled={isDisabled || undefined}
              tabIndex={isStop ? 0 : -1}
              onFocus={props.onFocus}
            >
              {cell(item)}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}

/** The row to go to; null for another key. */
function keyTarget(key: string, row: number, count: number, page: number): number | null {
  const last = count - 1;
  switch (key) {
    case 'ArrowDown':
      return Math.min(last, row + 1);
    case 'ArrowUp':
      return Math.max(HEAD, row - 1);
    case 'PageDown':
      return Math.min(last, row + page);
    case 'PageUp':
      return Math.max(0, row - page);
    case 'Home':
      return last < 0 ? HEAD : 0;
    case 'End':
      return last;
    default:
      return null;
  }
}

/** From a field above a table, ArrowDown leads into it. */
export function onFieldKey(event: KeyboardEvent, table: string): void {
  if (event.key !== 'ArrowDown') return;
  const rows = `#${table} .${ROW_BUTTON}`;
  const stop =
    document.querySelector<HTMLElement>(`${rows}[tabindex="0"]`) ?? document.querySelector<HTMLElement>(rows);
  if (stop === null) return;
  event.preventDefault();
  stop.focus();
}
