/** Page: header, four panels, one dialog at a time, and announcements for screen readers. */
import { Help } from './dialogs/help.tsx';
import { Export } from './dialogs/export.tsx';
import { GraphList } from './dialogs/graphs.tsx';
import { NameSupernode } from './dialogs/name.tsx';
import { Header } from './header.tsx';
import { About } from './panels/about.tsx';
import { Attention } from './panels/attention/attention.tsx';
import { ConnectionCount, Connections } from './panels/connections.tsx';
import { Feature } from './panels/feature.tsx';
import { GraphPanel } from './panels/graph-panel.tsx';
import { Nodes } from './panels/nodes.tsx';
import { SubgraphPanel } from './panels/subgraph-panel.tsx';
import { Try } from './panels/try/try.tsx';
import { ModalDialog } from './parts/dialog.tsx';
import { LoadProblem } from './parts/load-problem.tsx';
import { Panel, TabbedPanel } from './parts/panel.tsx';
import { Splitter } from './parts/splitter.tsx';
import { StudyList } from './study/list.tsx';
import { Study } from './study/study.tsx';
import { Training } from './training/training.tsx';
import { TrainingList } from './training/list.tsx';
import { announcement, dialog, lowerTab, split, upperTab } from './store/ui.ts';
import { loading, opened } from './store/opened.ts';
import { studies, studyView } from './store/study.ts';
import { openedTraining, trainings } from './store/trainings.ts';

export function App() {
  return (
    <>
      <a class="skip" href="#graph-drawing">
        Skip to the graph
      </a>
      <Header />
      <View />
      <OpenDialog />
      <Announcer />
    </>
  );
}

function View() {
  if (studyView.value !== null) return <Study />;
  if (openedTraining.value !== null) return <Training />;
  return opened.value === null ? <Start /> : <GraphPanels />;
}

function GraphPanels() {
  const { columns, rows } = split.value;
  return (
    <main
      class="graph-panels"
      aria-busy={loading.value.state === 'loading'}
      style={{ '--columns': `${columns * 100}%`, '--rows': `${rows * 100}%` }}
    >
      <GraphPanel />
      <TabbedPanel
        id="upper"
        label="Connections and nodes"
        open={upperTab.value}
        onOpen={(name) => (upperTab.value = name)}
        tabs={[
          {
            name: 'connections',
            title: (
              <>
                Connections <ConnectionCount />
              </>
            ),
            content: () => <Connections />,
          },
          { name: 'nodes', title: 'Nodes', content: () => <Nodes /> },
        ]}
      />
      <SubgraphPanel />
      <TabbedPanel
        id="lower"
        label="Feature, try out, about and attention"
        open={lowerTab.value}
        onOpen={(name) => (lowerTab.value = name)}
        tabs={[
          { name: 'feature', title: 'Feature', content: () => <Feature /> },
          { name: 'try', title: 'Try out', content: () => <Try /> },
          { name: 'about', title: 'About', content: () => <About /> },
          { name: 'attention', title: 'Attention', content: () => <Attention /> },
        ]}
      />
      <Splitter side="columns" />
      <Splitter side="rows" />
      {loading.value.state === 'failed' && (
        <div class="toast">
          <LoadProblem />
        </div>
      )}
    </main>
  );
}

/** While no graph is open. */
function Start() {
  return (
    <main class="start">
      <LoadProblem />
      {loading.value.state === 'loading' ? (
        <p class="muted" role="status">
          Opening {loading.value.slug} …
        </p>
      ) : (
        <div class="start-panels">
          <Panel id="start-graphs" title="Graphs">
            <div class="panel-body">
              <GraphList />
            </div>
          </Panel>
          <div class="start-others">
            {studies.value.length > 0 && (
              <Panel id="start-studies" title="Studies">
                <div class="panel-body">
                  <StudyList />
                </div>
              </Panel>
            )}
            {trainings.value.length > 0 && (
              <Panel id="start-trainings" title="Trainings">
                <div class="panel-body">
                  <TrainingList />
                </div>
              </Panel>
            )}
            <Panel id="start-try" title="Trace a prompt">
              <div class="panel-body">
                <Try />
              </div>
            </Panel>
          </div>
        </div>
      )}
    </main>
  );
}

const TITLES = {
  graphs: 'Graphs',
  help: 'Keys and gestures',
  name: 'Name the supernode',
  export: 'Export',
} as const;

function OpenDialog() {
  const name = dialog.value;
  if (name === null) return null;
  return (
    <ModalDialog
      key={name}
      id={`dialog-${name}`}
      title={TITLES[name]}
      wide={name === 'help' || name === 'graphs'}
      onClose={() => (dialog.value = null)}
    >
      {name === 'graphs' && studies.value.length > 0 && (
        <section aria-labelledby="dialog-studies-title">
          <h3 id="dialog-studies-title">Studies</h3>
          <StudyList />
        </section>
      )}
      {name === 'graphs' && <GraphList />}
      {name === 'help' && <Help />}
      {name === 'name' && <NameSupernode />}
      {name === 'export' && <Export />}
    </ModalDialog>
  );
}

/** Two elements in turn, so that screen readers repeat equal texts. */
function Announcer() {
  const { text, count } = announcement.value;
  return (
    <div class="for-reader" id="announcer" role="status" aria-live="polite">
      <span>{count % 2 === 0 ? text : ''}</span>
      <span>{count % 2 === 1 ? text : ''}</span>
    </div>
  );
}
