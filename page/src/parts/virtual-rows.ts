/** Page, parts: which rows of a long table are in view, by TanStack Virtual. All rows have one height. */
import {
  defaultRangeExtractor,
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
} from '@tanstack/virtual-core';
import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useReducer, useState } from 'preact/hooks';

/** In the size of the page's text, as in table.css. */
const ROW_REM = 2.15;
const OVERSCAN = 6;
/** Until the table has been measured: enough rows for the first picture. */
const FIRST_RECT = { width: 0, height: 600 } as const;

export type VirtualRows = Virtualizer<HTMLElement, HTMLElement>;

/** @param kept a row that is there wherever the table is scrolled to, so that it keeps the focus */
export function useVirtualRows(
  scroller: RefObject<HTMLElement | null>,
  count: number,
  kept: number,
): VirtualRows {
  const [, render] = useReducer((n: number) => n + 1, 0);
  const options = {
    count,
    getScrollElement: () => scroller.current,
    estimateSize: rowPixels,
    overscan: OVERSCAN,
    initialRect: FIRST_RECT,
    scrollPaddingEnd: rowPixels(), // the heads of the columns stand above the rows, and take as much of the view
    rangeExtractor: (range: Parameters<typeof defaultRangeExtractor>[0]) => {
      const rows = defaultRangeExtractor(range);
      return kept >= 0 && kept < count && !rows.includes(kept) ? [...rows, kept].sort((a, b) => a - b) : rows;
    },
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => render(undefined),
  };
  const [rows] = useState(() => new Virtualizer<HTMLElement, HTMLElement>(options));
  rows.setOptions(options);
  useLayoutEffect(() => rows._didMount(), []);
  useLayoutEffect(() => rows._willUpdate());
  useEffect(() => {
    // The text is larger in larger windows.
    const measure = () => rows.measure();
    window.addEventListener('resize', measure);
    return () => window.removeEventListener('resize', measure);
  }, []);
  return rows;
}

function rowPixels(): number {
  return ROW_REM * parseFloat(getComputedStyle(document.documentElement).fontSize);
}
