/** Page: the header with the name of the graph, search, thresholds, and buttons of the whole page. */
import { setThreshold } from './actions.ts';
import { Problem } from './parts/panel.tsx';
import { Slider } from './parts/slider.tsx';
import { nextFound } from './actions.ts';
import { exported } from './server.ts';
import { discard, saving, saveNow, type FailedSaving } from './store/sync.ts';
import { dialog, theme, toggleTheme, upperTab } from './store/ui.ts';
import { canRedo, canUndo, redo, undo } from './store/annotations.ts';
import {
  clickedIndex,
  fetchMore,
  found,
  mostThresholds,
  opened,
  searchText,
  thresholds,
} from './store/opened.ts';
import { studyView } from './store/study.ts';
import { openedTraining } from './store/trainings.ts';

const LEAST = { node: 0.1, edge: 0.5 } as const;
const STEP = 0.005;

export function Header() {
  // Behind another view a graph may still be open.
  const open = studyView.value === null && openedTraining.value === null ? opened.value : null;
  return (
    <header class="top">
      <h1 class="brand">tracer</h1>
      {exported === null && (
        <button
          type="button"
          class="button graph-button"
          id="open-graphs"
          title="Open a graph (o)"
          onClick={() => (dialog.value = 'graphs')}
        >
          <span class="graph-button-slug">{open?.slug ?? 'Open a graph'}</span>
          <span aria-hidden="true">▾</span>
        </button>
      )}
      <span class="prompt" title={open?.graph.metadata.prompt}>
        {open?.graph.metadata.prompt}
      </span>
      {open !== null && (
        <>
          <Search />
          <Thresholds />
          <SaveState />
        </>
      )}
      <nav class="top-buttons" aria-label="Page">
        {open !== null && (
          <>
            <button
              type="button"
              class="icon-button"
              aria-label="Undo"
              title="Undo (Ctrl+Z)"
              disabled={!canUndo.value}
              onClick={undo}
            >
              ↶
            </button>
            <button
              type="button"
              class="icon-button"
              aria-label="Redo"
              title="Redo (Ctrl+Shift+Z)"
              disabled={!canRedo.value}
              onClick={redo}
            >
              ↷
            </button>
            <button
              type="button"
              class="button"
              id="open-export"
              title="Export (x)"
              onClick={() => (dialog.value = 'export')}
            >
              Export
            </button>
          </>
        )}
        <button
          type="button"
          class="icon-button"
          id="theme"
          aria-label={theme.value === 'dark' ? 'Light colours' : 'Dark colours'}
          title="Light or dark (m)"
          onClick={toggleTheme}
        >
          {theme.value === 'dark' ? '☀' : '☾'}
        </button>
        <button
          type="button"
          class="icon-button"
          id="open-help"
          aria-label="Keys and gestures"
          title="Keys and gestures (?)"
          onClick={() => (dialog.value = 'help')}
        >
          ?
        </button>
      </nav>
    </header>
  );
}

function Search() {
  const hits = found.value;
  const place = hits === null || clickedIndex.value === null ? -1 : hits.indexOf(clickedIndex.value);
  return (
    <div class="search" role="search">
      <input
        type="search"
        id="search"
        class="field"
        aria-label="Search labels and tokens"
        placeholder="Search labels and tokens"
        title="Search labels and tokens (/)"
        value={searchText.value}
        onInput={(event) => {
          searchText.value = event.currentTarget.value;
          upperTab.value = 'nodes'; // which lists the hits
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') nextFound(event.shiftKey ? -1 : 1);
          if (event.key === 'Escape') searchText.value = '';
        }}
      />
      <output class="hits" id="search-hits" aria-live="polite">
        {hits === null ? '' : place === -1 ? String(hits.length) : `${place + 1} / ${hits.length}`}
      </output>
    </div>
  );
}

function Thresholds() {
  const { node, edge } = thresholds.value;
  const most = mostThresholds.value;
  const text = (value: number) => value.toFixed(3).replace(/0$/, '');
  const common = { step: STEP, onRest: () => void fetchMore() };
  return (
    <div class="thresholds" role="group" aria-label="Pruning">
      <Slider
        {...common}
        label="Nodes"
        title="Share of influence that the nodes hold ([ and ])"
        value={node}
        min={Math.min(LEAST.node, most.node)}
        max={most.node}
        text={text(node)}
        onMove={(value) => setThreshold('node', value)}
      />
      <Slider
        {...common}
        label="Links"
        title="Share of influence that the links hold ({ and })"
        value={edge}
        min={Math.min(LEAST.edge, most.edge)}
        max={most.edge}
        text={text(edge)}
        onMove={(value) => setThreshold('edge', value)}
      />
    </div>
  );
}

function SaveState() {
  const now = saving.value;
  if (exported !== null) return null;
  if (now.state === 'failed') return <SaveFailed {...now} />;
  const words = { saved: 'Saved', waiting: 'Saving …', saving: 'Saving …' }[now.state];
  return (
    <span class="save-state muted" id="save-state" data-state={now.state}>
      {words}
    </span>
  );
}

function SaveFailed({ slug, error, isFinal }: FailedSaving) {
  const whose = slug === opened.value?.slug ? '' : ` (${slug})`;
  return (
    <div class="save-failed">
      <Problem error={error} failed={`Not saved${whose}`} onRetry={saveNow}>
        {isFinal && (
          <button type="button" class="button" onClick={() => discard(slug)}>
            Discard
          </button>
        )}
      </Problem>
    </div>
  );
}
