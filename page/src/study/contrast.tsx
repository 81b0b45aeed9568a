/** Page, study: what differs between two groups, as tables of features and of links. */
import { computed, signal } from '@preact/signals';
import type { StudyContrast } from '../../../src/viewer/api.ts';
import { Empty, Problem } from '../parts/panel.tsx';
import { Segments } from '../parts/segments.tsx';
import { sorted, type Column, type Sort } from '../parts/table-order.ts';
import { count, number, signed } from '../parts/text.ts';
import { onFieldKey, VirtualTable } from '../parts/virtual-table.tsx';
import { cancelContrast, contrast, retryStudy, showBehind, showList, studyView } from '../store/study.ts';
import { rowText, type ContrastList, type ContrastRow } from '../store/study-address.ts';
import { labelOfEnd, rowName, type Labels } from './names.ts';

type Difference = Omit<StudyContrast['features'][number], 'layer' | 'feature'>;

interface Shown {
  readonly row: ContrastRow;
  readonly difference: Difference;
  /** Of the features and links that are listed, the one that differs most has 1. */
  readonly share: number;
  readonly name: string;
}

const TABLE = 'contrast-table';
const search = signal('');
const sort = signal<Sort | null>(null);

const rows = computed<readonly Shown[]>(() => {
  const [view, now] = [studyView.value, contrast.value];
  if (view === null || now.state !== 'here') return [];
  const { features, links, labels } = now.value;
  const all: readonly { readonly row: ContrastRow; readonly difference: Difference }[] =
    view.list === 'features'
      ? features.map(({ layer, feature, ...difference }) => ({
          row: { kind: 'feature', layer, feature },
          difference,
        }))
      : links.map(({ source, target, ...difference }) => ({
          row: { kind: 'link', source, target },
          difference,
        }));
  const most = all.reduce((max, { difference }) => Math.max(max, Math.abs(difference.difference)), 0);
  return all.map(({ row, difference }) => ({
    ...{ row, difference, name: rowName(row, labels) },
    share: most === 0 ? 0 : Math.abs(difference.difference) / most,
  }));
});

const found = computed(() => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = rows.value.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
  return words.length === 0 ? rows.value : hits;
});

export function Contrast() {
  const now = contrast.value;
  switch (now.state) {
    case 'here':
      return <Result result={now.value} />;
    case 'failed':
      return <Problem error={now.error} failed="No contrast" onRetry={retryStudy} />;
    case 'cancelled':
      return (
        <Empty>
          The comparison was cancelled.{' '}
          <button type="button" class="button" id="contrast-again" onClick={retryStudy}>
            Compare again
          </button>
        </Empty>
      );
    case 'running':
      return <Running />;
    default:
      return null;
  }
}

function Running() {
  const now = contrast.value;
  const status = now.state === 'running' ? now.status : null;
  const progress = status?.progress ?? null;
  const share =
    progress?.done === null || progress?.total === null || progress === null
      ? undefined
      : progress.done / progress.total;
  const words =
    status?.state === 'queued' && status.ahead > 0
      ? `${count(status.ahead, 'comparison')} before this one`
      : (progress?.message ?? 'Reading the study');
  return (
    <div class="job study-running" id="contrast-running">
      <span>{words} …</span>
      <progress {...(share !== undefined && { value: share })} max={1} aria-label="Comparison" />
      <button type="button" class="button" id="contrast-cancel" onClick={cancelContrast}>
        Cancel
      </button>
    </div>
  );
}

function Result({ result }: { readonly result: StudyContrast }) {
  const { a, b, n_tested, n_significant, n_all, permutations, level } = result;
  const list = studyView.value!.list;
  const columns = columnsOf(result, list);
  const shown = sorted(found.value, columns, sort.value);
  const current = studyView.value!.row;
  const title = (name: ContrastList, words: string): readonly [ContrastList, string] => [
    name,
    `${words} ${n_significant[name].toLocaleString('en')} of ${n_all[name].toLocaleString('en')}`,
  ];
  return (
    <div class="contrast">
      <p class="contrast-words">
        <strong>{a.name}</strong> ({count(a.n_graphs, 'graph')}) and <strong>{b.name}</strong> (
        {count(b.n_graphs, 'graph')}) differ in{' '}
        <strong>
          {count(n_significant.features, 'feature')} and {count(n_significant.links, 'link')}
        </strong>{' '}
        <span class="muted">
          of {n_tested.toLocaleString('en')} at {level * 100} %, corrected for all of them (
          {permutations.toLocaleString('en')} random divisions)
        </span>
      </p>
      <div class="table-tools">
        <Segments
          label="What differs"
          name="contrast-list"
          choices={[title('features', 'Features'), title('links', 'Links')]}
          chosen={list}
          onChoose={showList}
        />
        <input
          type="search"
          id="contrast-search"
          class="field"
          aria-label="Search features and labels"
          placeholder="Search features and labels"
          value={search.value}
          onInput={(event) => (search.value = event.currentTarget.value)}
          onKeyDown={(event) => onFieldKey(event, TABLE)}
        />
        <output class="muted table-count" aria-live="polite">
          {countWords(shown.length, rows.value.length, n_all[list], list)}
        </output>
      </div>
      {shown.length === 0 ? (
        <Empty>{rows.value.length === 0 ? 'Nothing differs at all.' : `No ${list} match.`}</Empty>
      ) : (
        <VirtualTable
          id={TABLE}
          label={list === 'features' ? 'Features that differ' : 'Links that differ'}
          columns={columns}
          items={shown}
          keyOf={({ row }) => rowText(row)}
          sort={sort.value}
          onSort={(next) => (sort.value = next)}
          of={JSON.stringify([result.by, a.name, b.name, list, search.value, sort.value])}
          rowClass={({ difference }) => (difference.p_adjusted <= level ? 'is-significant' : '')}
          isCurrent={({ row }) => current !== null && rowText(row) === rowText(current)}
          spoken={(one) => spoken(one, result)}
          onOpen={({ row }) => showBehind(row)}
        />
      )}
    </div>
  );
}

function countWords(shown: number, listed: number, all: number, list: ContrastList): string {
  if (shown < listed) return `${shown.toLocaleString('en')} of ${listed.toLocaleString('en')} ${list}`;
  return listed < all ? `the first ${listed.toLocaleString('en')} ${list}` : '';
}

function columnsOf({ a, b, labels }: StudyContrast, list: ContrastList): readonly Column<Shown>[] {
  const value = (
    name: keyof Difference,
    title: string,
    hint: string,
    rem: number,
    words = number,
  ): Column<Shown> => ({
    ...{ name, title, hint, rem, isNumber: true },
    cell: ({ difference }) => words(difference[name]),
    value: ({ difference }) => difference[name],
  });
  return [
    ...(list === 'features' ? [featureColumn(labels)] : endColumns(labels)),
    {
      ...{ name: 'difference', title: 'Difference', rem: 10, isNumber: true },
      hint: `Mean influence in ${a.name} minus that in ${b.name}`,
      cell: ({ difference, share }) => <Bar value={difference.difference} share={share} />,
      value: ({ difference }) => difference.difference,
    },
    value('p_adjusted', 'Adjusted p', 'Corrected for all features and links that were tested', 6.8, pWords),
    value('p', 'p', 'Of this test alone', 5.4, pWords),
    value('mean_a', 'Mean A', `Mean influence in ${a.name}, zero where it is not`, 5.6),
    value('mean_b', 'Mean B', `Mean influence in ${b.name}, zero where it is not`, 5.6),
    value('n_a', 'In A', `Graphs of ${a.name} that have it`, 4),
    value('n_b', 'In B', `Graphs of ${b.name} that have it`, 4),
  ];
}

function featureColumn(labels: Labels): Column<Shown> {
  return {
    ...{ name: 'name', title: 'Feature', rem: 9, grow: 1 },
    cell: ({ row }) => <End end={rowText(row)} labels={labels} />,
    value: ({ name }) => name,
  };
}

function endColumns(labels: Labels): readonly Column<Shown>[] {
  const ends = [
    ['source', 'Source'],
    ['target', 'Target'],
  ] as const;
  return ends.map(([side, title]) => ({
    ...{ name: side, title, rem: 7, grow: 1 },
    cell: ({ row }) => (row.kind === 'link' ? <End end={row[side]} labels={labels} /> : null),
    value: ({ row }) => (row.kind === 'link' ? row[side] : null),
  }));
}

function End({ end, labels }: { readonly end: string; readonly labels: Labels }) {
  const label = labelOfEnd(end, labels);
  return (
    <span title={label === undefined ? end : `${end} ${label}`}>
      {end} {label !== undefined && <span class="end-label">{label}</span>}
    </span>
  );
}

/** To the right of its middle: more in A. */
function Bar({ value, share }: { readonly value: number; readonly share: number }) {
  return (
    <span class="difference">
      <span class="difference-bar" aria-hidden="true">
        <span
          class={value > 0 ? 'positive' : 'negative'}
          style={{ inlineSize: `${Math.max(1, share * 50)}%` }}
        />
      </span>
      {signed(value)}
    </span>
  );
}

function pWords(p: number): string {
  return p >= 0.9995 ? '1' : String(Number(p.toPrecision(2)));
}

function spoken({ name, difference }: Shown, { a, b }: StudyContrast): string {
  const { difference: value, p_adjusted, n_a, n_b } = difference;
  return `${name}, difference ${signed(value)}, adjusted p ${pWords(p_adjusted)}, in ${n_a} graphs of ${a.name} and ${n_b} of ${b.name}`;
}
