/** Page, panel: facts of the graph (prompt, scores, model, set, settings) and notes. */
import type { ComponentChildren } from 'preact';
import { Empty } from '../parts/panel.tsx';
import { percent, time } from '../parts/text.ts';
import { Token } from '../parts/token.tsx';
import { edit, annotations } from '../store/annotations.ts';
import { info, opened } from '../store/opened.ts';
import { graphScores, pinnedScores, type Scores } from '../store/scores.ts';

export function About() {
  const open = opened.value;
  if (open === null) return <Empty>No graph is open.</Empty>;
  const { metadata } = open.graph;
  const model = open.canSteer ? (info.value?.model ?? null) : null;
  const { nodes, linkCount, nodeThreshold, edgeThreshold } = open.picture;
  return (
    <div class="about">
      <section>
        <h3>Prompt</h3>
        <p class="tokens">
          {metadata.prompt_tokens.map((token, i) => (
            <Token key={i} text={token} />
          ))}
        </p>
      </section>
      <section>
        <h3>Scores</h3>
        <table class="effect" id="scores">
          <thead>
            <tr>
              <td />
              <th scope="col" class="num">
                Replacement
              </th>
              <th scope="col" class="num">
                Completeness
              </th>
            </tr>
          </thead>
          <tbody>
            <ScoreRow title="Graph" scores={graphScores.value} />
            <ScoreRow title="Pinned subgraph" scores={pinnedScores.value} />
          </tbody>
        </table>
        <p class="muted small">
          Replacement: share of influence from the outputs back to the tokens that runs through features and
          not through errors. Completeness: share of inputs, weighted by influence, that are not errors.
        </p>
      </section>
      <section>
        <h3>Made with</h3>
        <dl class="facts">
          <Fact title="Set">{metadata.scan}</Fact>
          {model !== null && <Fact title="Model">{model.model}, loaded here</Fact>}
          <Fact title="Nodes">{nodes.length}</Fact>
          <Fact title="Links">{linkCount}</Fact>
          <Fact title="Node threshold">{nodeThreshold}</Fact>
          <Fact title="Edge threshold">{edgeThreshold}</Fact>
          {metadata.info.create_time_ms !== undefined && (
            <Fact title="Created">{time(metadata.info.create_time_ms)}</Fact>
          )}
          <Fact title="By">
            {metadata.info.generator.name} {metadata.info.generator.version}
          </Fact>
          {Object.entries(metadata.generation_settings).map(([name, value]) => (
            <Fact key={name} title={name.replaceAll('_', ' ')}>
              {typeof value === 'string' ? value : JSON.stringify(value)}
            </Fact>
          ))}
        </dl>
      </section>
      <section>
        <h3>
          <label for="notes">Notes</label>
        </h3>
        <textarea
          id="notes"
          rows={4}
          placeholder="Kept beside the graph"
          value={annotations.value.notes}
          onChange={(event) => edit({ notes: event.currentTarget.value })}
        />
      </section>
    </div>
  );
}

function ScoreRow({ title, scores }: { readonly title: string; readonly scores: Scores | null }) {
  const shown = (value: number | undefined) => (value === undefined ? '–' : percent(value));
  return (
    <tr>
      <th scope="row">
        {title} {scores?.exact === false && <span class="muted small">of the pruned graph</span>}
      </th>
      <td class="num">{shown(scores?.replacement)}</td>
      <td class="num">{shown(scores?.completeness)}</td>
    </tr>
  );
}

function Fact({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </div>
  );
}
