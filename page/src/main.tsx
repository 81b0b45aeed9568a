/** Page, entry: draws the app, then asks the server what there is and opens what the address names. */
import './styles/base.css';
import './styles/layout.css';
import './styles/panels.css';
import './styles/try.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { listenToKeys } from './keyboard/listen.ts';
import { openTraced } from './panels/try/trace.tsx';
import { exported } from './server.ts';
import { resumeJob } from './store/jobs.ts';
import { startKeeping } from './store/keep.ts';
import { announce } from './store/looks.ts';
import { loadGraphs, loadInfo } from './store/opened.ts';

if (exported === null) {
  // Not in index.html: a page of one file must not look for another.
  const icon = document.createElement('link');
  icon.rel = 'icon';
  icon.href = './icon.svg';
  document.head.append(icon);
}

render(<App />, document.getElementById('page')!);
listenToKeys();
// The list may cost the server more than the graph that is waited for.
void startKeeping().then(loadGraphs);
loadInfo().then(
  () => resumeJob((request, status) => request.kind === 'trace' && openTraced(status)),
  (error: Error) => announce(error.message),
);
