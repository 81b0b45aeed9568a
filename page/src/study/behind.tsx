/** Page, study: the graphs behind a feature or a link, of both groups, and from there into a graph. */
import { signal } from '@preact/signals';
import type { GraphsBehind } from '../../../src/viewer/api.ts';
import { Empty, Problem } from '../parts/panel.tsx';
import { sorted, type Column, type Sort } from '../parts/table-order.ts';
import { count, number, signed, visibleToken } from '../parts/text.ts';
import { VirtualTable } from '../parts/virtual-table.tsx';
import { behind, retryStudy, studyView } from '../store/study.ts';
import { rowText, type Question } from '../store/study-address.ts';
import { visitNodes } from '../store/sync.ts';

type Graph = GraphsBehind['graphs'][number];

const sort = signal<Sort | null>(null);

export function Behind() {
  const [now, view] = [behind.value, studyView.value];
  if (view === null || view.row === null || view.question === null || now.state === 'idle') {
    return <Empty>Click a feature or a link, to see the graphs that have it.</Empty>;
  }
  if (now.state === 'loading') {
    return (
      <p class="muted" role="status">
        Looking for graphs …
      </p>
    );
  }
  if (now.state === 'failed') return <Problem error={now.error} onRetry={retryStudy} />;
  const { graphs } = now.value;
  if (graphs.length === 0) return <Empty>No graph of these groups has it.</Empty>;
  const columns = columnsOf(graphs);
  const nAway = graphs.filter(({ served }) => served === null).length;
  return (
    <>
      <p class="behind-counts">{countsOf(graphs, view.question)}</p>
      {nAway > 0 && (
        <p class="muted small" id="behind-away">
          {nAway === graphs.length ? 'The graphs themselves are' : `${count(nAway, 'graph')} of these:`} not
          in the served folders: name their folder too, <code>tracer serve STUDY GRAPHS</code>.
        </p>
      )}
      <VirtualTable
        id="behind-table"
        label={`Graphs that have ${rowText(view.row)}`}
        columns={columns}
        items={sorted(graphs, columns, sort.value)}
        keyOf={({ graph }) => String(graph)}
        sort={sort.value}
        onSort={(next) => (sort.value = next)}
        of={JSON.stringify([view.question, rowText(view.row), sort.value])}
        isDisabled={({ served }) => served === null}
        spoken={spoken}
        onOpen={({ served, nodes }) => {
          if (served !== null) void visitNodes(served, nodes);
        }}
      />
    </>
  );
}

function countsOf(graphs: readonly Graph[], { a, b }: Question): string {
  const inGroup = (group: string): number => graphs.filter((one) => one.group === group).length;
  return `${count(inGroup(a), 'graph')} of ${a}, ${inGroup(b).toLocaleString('en')} of ${b}`;
}

function columnsOf(graphs: readonly Graph[]): readonly Column<Graph>[] {
  const isLink = graphs[0]!.weight !== null;
  return [
    {
      ...{ name: 'slug', title: 'Graph', rem: 7, grow: 1 },
      cell: ({ slug }) => <strong title={slug}>{slug}</strong>,
      value: ({ slug }) => slug,
    },
    {
      ...{ name: 'group', title: 'Group', rem: 5, grow: 0.5 },
      cell: ({ group }) => <span title={group}>{group}</span>,
      value: ({ group }) => group,
    },
    {
      ...{ name: 'influence', title: 'Influence', rem: 6, isNumber: true },
      hint: 'Summed over positions',
      cell: ({ influence }) => number(influence),
      value: ({ influence }) => influence,
    },
    isLink
      ? {
          ...{ name: 'weight', title: 'Weight', rem: 5.4, isNumber: true },
          hint: 'Of the most influential link',
          cell: ({ weight }) => signed(weight ?? NaN),
          value: ({ weight }) => weight,
        }
      : {
          ...{ name: 'activation', title: 'Activation', rem: 6.4, isNumber: true },
          hint: 'Where it has the most influence',
          cell: ({ activation }) => number(activation ?? NaN),
          value: ({ activation }) => activation,
        },
    {
      ...{ name: 'token', title: isLink ? 'Target' : 'Token', rem: 6, grow: 0.4 },
      hint: 'The token where it has the most influence',
      cell: ({ token }) => <span class="token">{visibleToken(token ?? '')}</span>,
      value: ({ token }) => token,
    },
    {
      ...{ name: 'prompt', title: 'Prompt', rem: 10, grow: 3 },
      cell: ({ prompt }) => <span title={prompt}>{prompt}</span>,
      value: ({ prompt }) => prompt,
    },
    {
      ...{ name: 'answer', title: 'Answer', rem: 6.5, grow: 0.4 },
      cell: ({ answer }) => <span class="token">{visibleToken(answer ?? '')}</span>,
      value: ({ answer }) => answer,
    },
  ];
}

function spoken({ slug, group, influence, activation, weight, prompt, served }: Graph): string {
  const value = weight === null ? `activation ${number(activation ?? NaN)}` : `weight ${signed(weight)}`;
  const away = served === null ? ', not in the served folders' : '';
  return `${slug}, ${group}, influence ${number(influence)}, ${value}, ${prompt}${away}`;
}
