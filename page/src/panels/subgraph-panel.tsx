/** Page, panel: the subgraph of pinned nodes and supernodes. */
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { supernodeOf as supernodeOfKey } from '../../../src/picture/subgraph.ts';
import {
  askName,
  clearPins,
  click,
  groupMarked,
  hover,
  markedKeys,
  membersOf,
  applyGroups,
  suggestOrNot,
} from '../actions.ts';
import { SubgraphView, type SubgraphState } from '../drawing/subgraph-view.ts';
import { Panel } from '../parts/panel.tsx';
import { count, percent } from '../parts/text.ts';
import { announce, dialog, lowerTab, theme } from '../store/ui.ts';
import {
  annotations,
  dissolveSupernode,
  edit,
  isSuggested,
  suggestion,
  unpin,
} from '../store/annotations.ts';
import {
  clickedId,
  hoveredId,
  labelOf,
  lostPins,
  lostText,
  opened,
  picture,
  pinnedIndices,
} from '../store/opened.ts';
import { pinnedScores } from '../store/scores.ts';
import { steerThese } from './try/steer.tsx';

export function SubgraphPanel() {
  const { pinnedIds } = annotations.value;
  return (
    <Panel id="subgraph" title="Subgraph" note={<Summary />} actions={<Tools />}>
      {pinnedIds.length === 0 ? <HowTo /> : <SubgraphHost />}
    </Panel>
  );
}

function Summary() {
  const { pinnedIds, supernodes } = annotations.value;
  const scores = pinnedScores.value;
  if (pinnedIds.length === 0) return null;
  const lost = lostPins.value;
  const words = [`${pinnedIndices.value.length} pinned`];
  if (supernodes.length > 0) words.push(count(supernodes.length, 'supernode'));
  if (scores !== null)
    words.push(`replacement ${percent(scores.replacement)}`, `completeness ${percent(scores.completeness)}`);
  return (
    <>
      {isSuggested.value && (
        <strong
          class="suggested"
          title="Made by rules from influence, links and labels; nobody has checked it. It is saved once you change it."
        >
          Suggested
        </strong>
      )}
      <span id="subgraph-summary">{words.join(' · ')}</span>
      {lost.length > 0 && (
        <span class="lost-pins" title={lost.join(', ')}>
          {lostText.value}
        </span>
      )}
    </>
  );
}

function Tools() {
  const marked = markedKeys.value;
  const supernode = marked.length === 1 ? supernodeOfKey(marked[0]!) : null;
  const ids = marked.flatMap((key) => membersOf(key));
  const hasPins = annotations.value.pinnedIds.length > 0;
  return (
    <>
      {marked.length > 1 && (
        <button
          type="button"
          class="button primary"
          title="Group the marked boxes (Shift+G)"
          onClick={groupMarked}
        >
          Group {marked.length}
        </button>
      )}
      {supernode !== null && (
        <>
          <button type="button" class="button" onClick={() => askName(supernode)}>
            Rename
          </button>
          <button
            type="button"
            class="button"
            onClick={() => {
              dissolveSupernode(supernode);
              markedKeys.value = [];
            }}
          >
            Ungroup
          </button>
        </>
      )}
      {marked.length > 0 && opened.value?.canSteer === true && (
        <button
          type="button"
          class="button"
          onClick={() => {
            steerThese(ids);
            lowerTab.value = 'try';
          }}
        >
          Steer
        </button>
      )}
      {(isSuggested.value || (!hasPins && suggestion.value !== null)) && (
        <button type="button" class="button" title="Suggested circuit (s)" onClick={suggestOrNot}>
          {isSuggested.value ? 'Discard' : 'Suggest'}
        </button>
      )}
      {hasPins && (
        <>
          <button
            type="button"
            class="button quiet"
            title="Discard the positions and arrange automatically"
            onClick={() => edit({ sg_pos: '' })}
          >
            Arrange
          </button>
          {!isSuggested.value && (
            <button type="button" class="button quiet" title="Unpin everything" onClick={clearPins}>
              Clear
            </button>
          )}
          <button
            type="button"
            class="button quiet"
            title="Export (x)"
            onClick={() => (dialog.value = 'export')}
          >
            Export
          </button>
        </>
      )}
    </>
  );
}

function HowTo() {
  return (
    <div class="empty how-to">
      <p>
        Pin nodes to build a circuit: <kbd>Ctrl</kbd>-click a node, or press <kbd>P</kbd> on it.
      </p>
      <p>
        Drag one box onto another, or mark boxes with <kbd>G</kbd> and press <kbd>Shift</kbd>+<kbd>G</kbd>, to
        make a supernode; the weights of its links are summed.
      </p>
    </div>
  );
}

function SubgraphHost() {
  const host = useRef<HTMLDivElement>(null);
  const shown = picture.value;
  useEffect(() => {
    if (shown === null || host.current === null) return;
    const view = new SubgraphView(
      host.current,
      shown,
      {
        onHover: hover,
        onClick: (_key, members) => click(members[0] ?? null),
        onUnpin: (_key, members) => {
          unpin(members);
          markedKeys.value = [];
          announce(`Unpinned ${count(members.length, 'node')}.`);
        },
        onMove: (sg_pos) => edit({ sg_pos }),
        onGroup: applyGroups,
        onSelect: (keys) => (markedKeys.value = keys),
        onRename: askName,
      },
      stateNow(),
    );
    const stop = effect(() => {
      const state = stateNow();
      if (picture.value === shown) view.update(state);
    });
    return () => {
      stop();
      view.destroy();
    };
  }, [shown]);
  return (
    <div
      ref={host}
      class="drawing"
      id="subgraph-drawing"
      role="group"
      aria-label="Pinned nodes and supernodes"
    />
  );
}

function stateNow(): SubgraphState {
  const { pinnedIds, supernodes, sg_pos } = annotations.value;
  return {
    pinned: pinnedIds,
    supernodes,
    sg_pos,
    labelOf: labelOf.value,
    theme: theme.value,
    hovered: hoveredId.value,
    clicked: clickedId.value === '' ? null : clickedId.value,
    selected: markedKeys.value,
  };
}
