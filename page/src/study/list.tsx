/** Page, study: the list of studies in the served folders. */
import { onListKey, ROW_BUTTON } from '../parts/list-keys.ts';
import { count } from '../parts/text.ts';
import { openStudy, studies } from '../store/study.ts';
import { dialog } from '../store/ui.ts';

export function StudyList() {
  return (
    <ul class="rows" aria-label="Studies" onKeyDown={onListKey}>
      {studies.value.map(({ name, n_graphs, scan, problem }) => (
        <li class="row short-row" key={name}>
          <button
            type="button"
            class={ROW_BUTTON}
            disabled={problem !== null}
            onClick={() => {
              dialog.value = null;
              openStudy(name);
            }}
          >
            <span class="short-row-name">{name}</span>
            <span class="short-row-facts">{problem ?? `${count(n_graphs, 'graph')} · ${scan}`}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
