/** Page, dialog: the list of graphs with a search. It is also shown while no graph is open. */
import { signal } from '@preact/signals';
import type { GraphEntry } from '../../../src/viewer/api.ts';
import { Empty, Problem } from '../parts/panel.tsx';
import { onListKey, ROW_BUTTON } from '../parts/list-keys.ts';
import { size, time } from '../parts/text.ts';
import { dialog } from '../store/ui.ts';
import { visit } from '../store/sync.ts';
import { closeTraining } from '../store/trainings.ts';
import { graphs, graphsError, loadGraphs, opened } from '../store/opened.ts';

const text = signal('');

export function GraphList() {
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = graphs.value.filter(({ slug, prompt, scan }) => {
    const all = `${slug} ${prompt} ${scan}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
  return (
    <div class="graph-list" onKeyDown={onListKey}>
      <input
        type="search"
        id="graph-search"
        class="field"
        aria-label="Search graphs by name, prompt or set"
        placeholder="Search by name, prompt or set"
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
        autoFocus
      />
      {graphsError.value !== null && <Problem error={graphsError.value} onRetry={() => void loadGraphs()} />}
      {graphs.value.length === 0 && graphsError.value === null && (
        <Empty>
          No graph here yet. <code>tracer attribute "…" --graph-dir DIR --slug NAME</code> makes one.
        </Empty>
      )}
      {graphs.value.length > 0 && hits.length === 0 && <Empty>No graph matches.</Empty>}
      <ul class="rows" aria-label="Graphs">
        {hits.map((entry) => (
          <GraphRow key={entry.slug} entry={entry} />
        ))}
      </ul>
    </div>
  );
}

function GraphRow({ entry }: { readonly entry: GraphEntry }) {
  const { slug, prompt, scan, kind, created_ms, bytes, problem } = entry;
  return (
    <li class="row graph-row" aria-current={opened.value?.slug === slug ? 'true' : undefined}>
      <button
        type="button"
        class={ROW_BUTTON}
        disabled={problem !== null}
        onClick={() => {
          dialog.value = null;
          closeTraining();
          void visit(slug);
        }}
      >
        <span class="graph-row-slug">{slug}</span>
        <span class="graph-row-prompt">{problem ?? prompt}</span>
        <span class="graph-row-set">{scan}</span>
        <span class="graph-row-facts">
          {kind === 'graph' ? 'graph file' : 'viewer file'} · {size(bytes)}
          {created_ms !== null && ` · ${time(created_ms)}`}
        </span>
      </button>
    </li>
  );
}
