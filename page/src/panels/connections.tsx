/** Page, panel: inputs and outputs of the clicked node, the strongest first. */
import { computed } from '@preact/signals';
import { connectionsOf, type Connection } from '../../../src/picture/connections.ts';
import type { PictureNode } from '../../../src/picture/picture-graph.ts';
import { weightColour } from '../../../src/picture/theme.ts';
import { Empty } from '../parts/panel.tsx';
import { LongList } from '../parts/long-list.tsx';
import { NodeRow } from '../parts/node-row.tsx';
import { number, percent, signed, signedPercent } from '../parts/text.ts';
import { lowerTab, theme } from '../store/ui.ts';
import { clickedIndex, labelOf, opened, picture, visible } from '../store/opened.ts';
import { HeadsButton } from './attention/heads-button.tsx';
import { startAblation } from './try/ablate.tsx';

const connections = computed(() => {
  const [shown, index, seen] = [picture.value, clickedIndex.value, visible.value];
  return shown === null || index === null || seen === null ? null : connectionsOf(shown, index, seen);
});

export function Connections() {
  const [shown, index, lists] = [picture.value, clickedIndex.value, connections.value];
  if (shown === null || index === null || lists === null) {
    return (
      <Empty>
        Click a node, or move to it with the arrow keys and press <kbd>Enter</kbd>, to see its inputs and
        outputs.
      </Empty>
    );
  }
  const node = shown.nodes[index]!;
  return (
    <>
      <p class="connections-node">
        <strong>{labelOf.value(index)}</strong>
      </p>
      <div class="connections">
        <Side title="Inputs" list={lists.inputs} node={node} />
        <Side title="Outputs" list={lists.outputs} node={node} />
      </div>
    </>
  );
}

function Side(props: {
  readonly title: 'Inputs' | 'Outputs';
  readonly list: readonly Connection[];
  readonly node: PictureNode;
}) {
  const { title, list, node } = props;
  const most = list.reduce((max, { weight }) => Math.max(max, Math.abs(weight)), 0);
  const id = `connections-${title.toLowerCase()}`;
  return (
    <section class="connections-side" id={id} aria-labelledby={`${id}-title`}>
      <h3 id={`${id}-title`}>
        {title} <span class="muted">{list.length}</span>
      </h3>
      {list.length === 0 ? (
        <p class="muted small">{noneWords(node, title)}</p>
      ) : (
        <LongList
          label={`${title}, strongest first`}
          items={list}
          of={node.id}
          row={(connection) => (
            <ConnectionRow
              key={connection.link}
              connection={connection}
              side={title}
              node={node}
              most={most}
            />
          )}
        />
      )}
    </section>
  );
}

function noneWords({ kind }: PictureNode, side: 'Inputs' | 'Outputs'): string {
  if (side === 'Inputs' && (kind === 'embedding' || kind === 'error'))
    return 'The graph goes back no further.';
  if (side === 'Outputs' && kind === 'logit') return 'The graph ends here.';
  return 'None at these thresholds.';
}

function ConnectionRow(props: {
  readonly connection: Connection;
  readonly side: 'Inputs' | 'Outputs';
  readonly node: PictureNode;
  readonly most: number;
}) {
  const { connection, side, node, most } = props;
  const { index, weight, share, influence } = connection;
  const other = picture.value!.nodes[index]!;
  const [source, target] = side === 'Inputs' ? [other, node] : [node, other];
  const whose = side === 'Inputs' ? 'all inputs' : 'the other node’s inputs';
  const details = `weight ${signed(weight)}, ${signedPercent(share)} of ${whose}, ${percent(influence)} of the influence in this list`;
  return (
    <NodeRow
      node={other}
      spoken={details}
      before={
        <span class="weight" title={details}>
          <span
            class="weight-bar"
            style={{
              inlineSize: `${Math.max(3, (Math.abs(weight) / most) * 100)}%`,
              background: weightColour(share, theme.value),
            }}
          />
          <span class="weight-number">{signed(weight)}</span>
          <span class="weight-share">{percent(Math.abs(share))}</span>
        </span>
      }
      actions={
        <>
          <HeadsButton source={source} target={target} />
          {opened.value?.canSteer !== true ? undefined : source.kind === 'feature' &&
            (target.kind === 'feature' || target.kind === 'logit') ? (
            <button
              type="button"
              class="icon-button ablate"
              aria-label={`Ablate ${labelOf.value(source.index)} and compare with this link`}
              title="Ablate the source and compare with this link’s prediction"
              onClick={() => {
                lowerTab.value = 'try';
                startAblation(source.id, target.id);
              }}
            >
              ⌁
            </button>
          ) : (
            <span class="no-button" />
          )}
        </>
      }
    />
  );
}

/** Count in the title of the tab. */
export function ConnectionCount() {
  const lists = connections.value;
  if (lists === null) return null;
  return <span class="muted tab-note">{number(lists.inputs.length + lists.outputs.length)}</span>;
}
