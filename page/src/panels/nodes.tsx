/** Page, panel: a list of all visible nodes, searched and sorted; the accessible form of the graph. */
import { computed, signal } from '@preact/signals';
import type { PictureNode } from '../../../src/picture/picture-graph.ts';
import { unreachable } from '../../../src/errors.ts';
import { Empty } from '../parts/panel.tsx';
import { LongList } from '../parts/long-list.tsx';
import { NodeRow } from '../parts/node-row.tsx';
import { count, number } from '../parts/text.ts';
import { found, picture, searchText, visible } from '../store/opened.ts';

type Order = 'influence' | 'place' | 'activation';
const order = signal<Order>('influence');

const listed = computed<readonly PictureNode[]>(() => {
  const [shown, seen] = [picture.value, visible.value];
  if (shown === null || seen === null) return [];
  const hits = found.value;
  const nodes =
    hits === null
      ? shown.nodes.filter(({ index }) => seen.nodes[index] === 1)
      : hits.map((i) => shown.nodes[i]!);
  return [...nodes].sort(comparison(order.value));
});

export function Nodes() {
  const nodes = listed.value;
  return (
    <>
      <div class="list-tools">
        <span class="muted">
          {found.value === null
            ? count(nodes.length, 'visible node')
            : `${count(nodes.length, 'hit')} for “${searchText.value.trim()}”`}
        </span>
        <label>
          Sort by{' '}
          <select
            value={order.value}
            onChange={(event) => (order.value = event.currentTarget.value as Order)}
          >
            <option value="influence">influence</option>
            <option value="activation">activation</option>
            <option value="place">layer and token</option>
          </select>
        </label>
      </div>
      <div class="scroll">
        {nodes.length === 0 ? (
          <Empty>No visible node matches.</Empty>
        ) : (
          <LongList
            label="Nodes of the graph"
            items={nodes}
            of={`${order.value} ${searchText.value}`}
            row={(node) => (
              <NodeRow
                key={node.index}
                node={node}
                spoken={spoken(node)}
                before={
                  <span class="node-value" title={node.activation === null ? 'probability' : 'activation'}>
                    {valueOf(node)}
                  </span>
                }
              />
            )}
          />
        )}
      </div>
    </>
  );
}

function comparison(by: Order): (a: PictureNode, b: PictureNode) => number {
  switch (by) {
    case 'influence':
      return (a, b) => (a.influence ?? 0) - (b.influence ?? 0) || a.index - b.index;
    case 'activation':
      return (a, b) => (b.activation ?? -Infinity) - (a.activation ?? -Infinity) || a.index - b.index;
    case 'place':
      return (a, b) => b.row - a.row || a.position - b.position || a.index - b.index;
    default:
      return unreachable(by);
  }
}

function valueOf({ activation, probability }: PictureNode): string {
  if (activation !== null) return number(activation);
  return probability === null ? '' : number(probability);
}

function spoken({ activation, influence }: PictureNode): string {
  const parts = [];
  if (activation !== null) parts.push(`activation ${number(activation)}`);
  if (influence !== null) parts.push(`within the first ${number(influence * 100)} percent of influence`);
  return parts.join(', ');
}
