/** Page, dialog: the list of graphs, searched, filtered and sorted. It is also shown while no graph is open. */
import { computed } from '@preact/signals';
import type { GraphEntry } from '../../../src/viewer/api.ts';
import { Empty, Problem } from '../parts/panel.tsx';
import { sorted, type Column } from '../parts/table-order.ts';
import { count, size, time } from '../parts/text.ts';
import { onFieldKey, VirtualTable } from '../parts/virtual-table.tsx';
import {
  choices,
  chooseValue,
  graphFilter,
  graphSearch,
  graphSort,
  listedGraphs,
  metadataNames,
  metadataText,
} from '../store/graph-list.ts';
import { graphs, graphsError, loadGraphs, opened } from '../store/opened.ts';
import { visit } from '../store/sync.ts';
import { dialog } from '../store/ui.ts';

const TABLE = 'graphs-table';
const SCORE_DIGITS = 3;
/** Columns of metadata that there is room for; all of them are searched, and chosen from. */
const MOST_METADATA = 3;

const NAME: Column<GraphEntry> = {
  name: 'slug',
  title: 'Name',
  rem: 8,
  grow: 1.2,
  cell: ({ slug }) => <strong title={slug}>{slug}</strong>,
  value: ({ slug }) => slug,
};
const PROMPT: Column<GraphEntry> = {
  name: 'prompt',
  title: 'Prompt',
  rem: 9,
  grow: 3,
  cell: ({ prompt, problem }) => <span title={problem ?? prompt}>{problem ?? prompt}</span>,
  value: ({ prompt }) => prompt,
};
const SCAN: Column<GraphEntry> = {
  name: 'scan',
  title: 'Set',
  rem: 6,
  grow: 1,
  cell: ({ scan }) => <span title={scan}>{scan}</span>,
  value: ({ scan }) => scan,
};
/** Shown where any graph has them. */
const NUMBERS: readonly Column<GraphEntry>[] = [
  numberColumn('replacement', 'Replacement', ({ scores }) => scores?.replacement ?? null, score),
  numberColumn('completeness', 'Completeness', ({ scores }) => scores?.completeness ?? null, score),
  numberColumn(
    'n_nodes',
    'Nodes',
    ({ n_nodes }) => n_nodes,
    (n) => n.toLocaleString('en'),
    4.8,
  ),
  numberColumn('created_ms', 'Created', ({ created_ms }) => created_ms, time, 12),
];

/** Of files of which a list of prompts says no more. */
const SIZE = numberColumn('bytes', 'Size', ({ bytes }) => bytes, size, 5.5);

function score(value: number): string {
  return value.toFixed(SCORE_DIGITS);
}

function numberColumn(
  name: string,
  title: string,
  value: (entry: GraphEntry) => number | null,
  words: (value: number) => string,
  rem = 7.8,
): Column<GraphEntry> {
  const cell = (entry: GraphEntry) => {
    const found = value(entry);
    return found === null ? '' : words(found);
  };
  return { name, title, rem, isNumber: true, cell, value };
}

const columns = computed<readonly Column<GraphEntry>[]>(() => {
  const all = graphs.value;
  const isOneSet = all.every(({ scan }) => scan === all[0]!.scan);
  const byChoice = [...choices.value].sort((a, b) => a.values.length - b.values.length);
  const names = byChoice.slice(0, MOST_METADATA).map(({ name }) => name);
  const metadata = metadataNames.value
    .filter((name) => names.includes(name))
    .map((name): Column<GraphEntry> => ({
      name: `metadata.${name}`,
      title: name,
      rem: 5.5,
      grow: 0.6,
      cell: (entry) => <span title={metadataText(entry, name) ?? ''}>{metadataText(entry, name)}</span>,
      value: (entry) => metadataText(entry, name),
    }));
  const numbers = NUMBERS.filter(({ value }) => all.some((entry) => value(entry) !== null));
  const isTraced = all.some(({ n_nodes }) => n_nodes !== null);
  return [NAME, PROMPT, ...(isOneSet ? [] : [SCAN]), ...metadata, ...numbers, ...(isTraced ? [] : [SIZE])];
});

const shown = computed(() => sorted(listedGraphs.value, columns.value, graphSort.value));

export function GraphList() {
  const all = graphs.value;
  return (
    <div class="graph-list">
      <div class="table-tools">
        <input
          type="search"
          id="graph-search"
          class="field"
          aria-label="Search graphs by name, prompt, set or metadata"
          placeholder="Search by name, prompt, set or metadata"
          value={graphSearch.value}
          onInput={(event) => (graphSearch.value = event.currentTarget.value)}
          onKeyDown={(event) => onFieldKey(event, TABLE)}
          autoFocus
        />
        {choices.value.map(({ name, values }) => (
          <label key={name} class="choice">
            {name}{' '}
            <select
              data-column={name}
              value={graphFilter.value[name] ?? ''}
              onChange={(event) => chooseValue(name, event.currentTarget.value)}
            >
              <option value="">all</option>
              {values.map(({ value, count: n }) => (
                <option key={value} value={value}>
                  {value} ({n.toLocaleString('en')})
                </option>
              ))}
            </select>
          </label>
        ))}
        <output class="muted table-count" id="graph-count-listed" aria-live="polite">
          {all.length === 0 ? '' : countWords(shown.value.length, all.length)}
        </output>
      </div>
      {graphsError.value !== null && <Problem error={graphsError.value} onRetry={() => void loadGraphs()} />}
      {all.length === 0 && graphsError.value === null && (
        <Empty>
          No graph here yet. <code>tracer attribute "…" --graph-dir DIR --slug NAME</code> makes one.
        </Empty>
      )}
      {all.length > 0 && shown.value.length === 0 && <Empty>No graph matches.</Empty>}
      {shown.value.length > 0 && (
        <VirtualTable
          id={TABLE}
          label="Graphs"
          columns={columns.value}
          items={shown.value}
          keyOf={({ slug }) => slug}
          sort={graphSort.value}
          onSort={(sort) => (graphSort.value = sort)}
          of={JSON.stringify([graphSearch.value, graphFilter.value, graphSort.value])}
          rowClass={() => 'graph-row'}
          isCurrent={({ slug }) => slug === opened.value?.slug}
          isDisabled={({ problem }) => problem !== null}
          spoken={spoken}
          onOpen={({ slug }) => {
            dialog.value = null;
            void visit(slug);
          }}
        />
      )}
    </div>
  );
}

function countWords(listed: number, all: number): string {
  return listed === all ? count(all, 'graph') : `${listed.toLocaleString('en')} of ${count(all, 'graph')}`;
}

function spoken(entry: GraphEntry): string {
  const { slug, prompt, scores, n_nodes, problem } = entry;
  if (problem !== null) return `${slug}, cannot be opened: ${problem}`;
  const parts = [slug, prompt];
  for (const name of metadataNames.value) {
    const value = metadataText(entry, name);
    if (value !== null) parts.push(`${name} ${value}`);
  }
  if (scores !== null) {
    parts.push(`replacement ${score(scores.replacement)}`, `completeness ${score(scores.completeness)}`);
  }
  if (n_nodes !== null) parts.push(count(n_nodes, 'node'));
  return parts.join(', ');
}
