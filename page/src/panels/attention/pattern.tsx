/** Page, panel Attention: a head's pattern as a matrix over tokens. Arrow keys move in it, Enter chooses a query and key. */
import { useMemo, useState } from 'preact/hooks';
import { percent, visibleToken } from '../../parts/text.ts';
import { announce } from '../../store/ui.ts';

interface Cell {
  readonly query: number;
  readonly key: number;
}

/** In pixels. */
const AREA = 230;
const CELL = { least: 3, most: 18 } as const;
/** Room for tokens, which are written where cells are high enough. */
const LABEL = { room: 74, fromCell: 9, characters: 9, font: 10 } as const;
/** Less is not drawn: long prompts have tens of thousands of such cells. */
const LEAST_SHOWN = 0.005;

export function Pattern(props: {
  readonly rows: readonly (readonly number[])[];
  readonly tokens: readonly string[];
  readonly query: number;
  /** Key of the chosen cell. */
  readonly cell: number;
  /** First key that the chosen query sees. */
  readonly first: number;
  readonly onChoose: (cell: Cell) => void;
}) {
  const { rows, tokens, query, cell: key, first, onChoose } = props;
  const [cursor, setCursor] = useState<Cell | null>(null);
  const n = rows.length;
  const size = Math.min(CELL.most, Math.max(CELL.least, AREA / n));
  const hasLabels = size >= LABEL.fromCell;
  const start = hasLabels ? LABEL.room : 0;
  const side = start + n * size;
  // Not again with each move of the mouse.
  const cells = useMemo(
    () =>
      rows.flatMap((row, of) =>
        row.map(
          (share, to) =>
            share >= LEAST_SHOWN && (
              <rect
                key={`${of} ${to}`}
                class="pattern-cell"
                x={start + to * size}
                y={start + of * size}
                width={size}
                height={size}
                opacity={Math.sqrt(share)}
              />
            ),
        ),
      ),
    [rows, start, size],
  );
  const at = cursor ?? { query, key };
  const move = (queries: number, keys: number): void => {
    const to = Math.min(n - 1, Math.max(0, at.query + queries));
    const next = { query: to, key: Math.min(to, Math.max(0, at.key + keys)) };
    setCursor(next);
    announce(words(next, rows, tokens));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    if (step !== undefined) move(...step);
    else if (event.key === 'Enter') onChoose(at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const cellAt = (event: MouseEvent & { readonly currentTarget: SVGSVGElement }): Cell | null => {
    const box = event.currentTarget.getBoundingClientRect();
    const index = (place: number): number => Math.floor((place - start) / size);
    const found = { query: index(event.clientY - box.top), key: index(event.clientX - box.left) };
    return found.query < n && found.key >= 0 && found.key <= found.query ? found : null;
  };
  return (
    <div class="pattern-host">
      <svg
        class="pattern"
        id="attention-pattern"
        width={side}
        height={side}
        tabIndex={0}
        role="application"
        aria-roledescription="matrix"
        aria-label={`Pattern of the head: rows are queries, columns are keys. ${words({ query, key }, rows, tokens)}. Arrow keys move, Enter chooses.`}
        onKeyDown={onKeyDown}
        onMouseMove={(event) => setCursor(cellAt(event))}
        onMouseLeave={() => setCursor(null)}
        onBlur={() => setCursor(null)}
        onClick={(event) => {
          const found = cellAt(event);
          if (found !== null) onChoose(found);
        }}
      >
        <title>{words(at, rows, tokens)}</title>
        <path class="pattern-ground" d={`M${start} ${start}${`h${size}v${size}`.repeat(n)}H${start}z`} />
        <rect
          class="pattern-row"
          x={start}
          y={start + query * size}
          width={(query + 1) * size}
          height={size}
        />
        {cells}
        {hasLabels &&
          tokens.map((token, i) => {
            const middle = start + (i + 0.5) * size;
            const text = visibleToken(token).slice(0, LABEL.characters);
            return (
              <g key={i} class="pattern-label" font-size={LABEL.font}>
                <text
                  class={i === query ? 'chosen' : undefined}
                  x={start - 4}
                  y={middle}
                  text-anchor="end"
                  dominant-baseline="central"
                >
                  {text}
                </text>
                <text
                  class={i === key ? 'chosen' : undefined}
                  transform={`translate(${middle} ${start - 4}) rotate(-90)`}
                  dominant-baseline="central"
                >
                  {text}
                </text>
              </g>
            );
          })}
        <rect
          class="pattern-seen"
          x={start + first * size}
          y={start + query * size}
          width={(query - first + 1) * size}
          height={size}
        />
        <rect
          class="pattern-chosen"
          x={start + key * size}
          y={start + query * size}
          width={size}
          height={size}
        />
        {cursor !== null && (
          <rect
            class="pattern-cursor"
            x={start + cursor.key * size}
            y={start + cursor.query * size}
            width={size}
            height={size}
          />
        )}
      </svg>
      <p class="muted small" aria-hidden="true">
        {words(at, rows, tokens)}
      </p>
    </div>
  );
}

const STEPS: Readonly<Record<string, readonly [queries: number, keys: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function words(
  { query, key }: Cell,
  rows: readonly (readonly number[])[],
  tokens: readonly string[],
): string {
  const name = (position: number): string => `${position} ${visibleToken(tokens[position] ?? '')}`;
  return `${name(query)} looks at ${name(key)}: ${percent(rows[query]?.[key] ?? 0)}`;
}
