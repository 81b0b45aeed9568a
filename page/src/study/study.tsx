/** Page, study: its groups, the contrast of two of them, and the graphs behind a row of it. */
import { LoadProblem } from '../parts/load-problem.tsx';
import { Panel, Problem } from '../parts/panel.tsx';
import { count } from '../parts/text.ts';
import { closeStudy, contrast, retryStudy, studyDetail, studyView } from '../store/study.ts';
import { Behind } from './behind.tsx';
import { Contrast } from './contrast.tsx';
import { Groups } from './groups.tsx';
import { rowName } from './names.ts';

export function Study() {
  const { name, row } = studyView.value!;
  const [detail, now] = [studyDetail.value, contrast.value];
  const labels = now.state === 'here' ? now.value.labels : {};
  return (
    <main class="study" id="study">
      <Panel
        id="study-groups-panel"
        title={`Study ${name}`}
        actions={
          <button type="button" class="button" id="close-study" onClick={closeStudy}>
            Close
          </button>
        }
      >
        <div class="panel-body study-body">
          {detail.state === 'loading' && (
            <p class="muted" role="status">
              Opening {name} …
            </p>
          )}
          {detail.state === 'failed' && <Problem error={detail.error} onRetry={retryStudy} />}
          {detail.state === 'here' && (
            <>
              <p class="muted small study-facts">
                {count(detail.value.n_graphs, 'graph')} · {detail.value.model} · {detail.value.transcoders}
              </p>
              <Groups columns={detail.value.columns} />
            </>
          )}
        </div>
      </Panel>
      <Panel id="study-contrast" title="What differs">
        <div class="panel-body study-body">
          <Contrast />
        </div>
      </Panel>
      <Panel id="study-behind" title={row === null ? 'Graphs' : `Graphs with ${rowName(row, labels)}`}>
        <div class="panel-body study-body">
          <LoadProblem />
          <Behind />
        </div>
      </Panel>
    </main>
  );
}
