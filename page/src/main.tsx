/** Page, entry: renders the app, then loads the graph that the address names and the list of graphs. */
import './styles/base.css';
import './styles/layout.css';
import './styles/panels.css';
import './styles/table.css';
import './styles/try.css';
import './styles/training.css';
import './styles/study.css';
import './styles/attention.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { listenToKeys } from './keyboard/listen.ts';
import { openTraced } from './panels/try/trace.tsx';
import { exported } from './server.ts';
import { resumeJob } from './store/jobs.ts';
import { takeAnswer } from './store/attention.ts';
import { takeRemoval } from './store/removals.ts';
import { startSync } from './store/sync.ts';
import { startStudies } from './store/study.ts';
import { startTrainings } from './store/trainings.ts';
import { announce } from './store/ui.ts';
import { loadGraphs, loadInfo } from './store/opened.ts';

if (exported === null) {
  // Not in index.html: a page that is one file must not load another.
  const icon = document.createElement('link');
  icon.rel = 'icon';
  icon.href = './icon.svg';
  document.head.append(icon);
}

render(<App />, document.getElementById('page')!);
listenToKeys();
// The list may take the server longer than the graph, which is needed first.
void startSync().then(loadGraphs);
void startTrainings();
void startStudies();
loadInfo().then(
  () =>
    resumeJob((request, status) => {
      if (request.kind === 'trace') openTraced(status);
      takeAnswer(request, status);
      takeRemoval(request, status);
    }),
  (error: Error) => announce(error.message),
);
