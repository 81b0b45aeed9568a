/** Page, training: how far a training is, its curves by layer, and its last values as a table. */
import { Empty, Panel, Problem } from '../parts/panel.tsx';
import { closeTraining, openedTraining, retryTraining } from '../store/trainings.ts';
import { progressOf, tokensUntil, type HeldOut, type Step, type TrainingLog } from '../store/training-log.ts';
import { Chart, type Curve } from './chart.tsx';

type LayerValue = Step['layers'][number];

/** Quantities of a layer; held-out tokens have some of them too. */
const QUANTITIES: readonly {
  readonly id: string;
  readonly title: string;
  readonly of: (layer: LayerValue) => number;
  readonly heldOut: (layer: HeldOut['layers'][number]) => number | null;
  readonly format: (value: number) => string;
}[] = [
  {
    id: 'chart-explained',
    title: 'Explained variance',
    of: ({ explained_variance }) => explained_variance,
    heldOut: ({ explained_variance }) => explained_variance,
    format: (value) => value.toFixed(3),
  },
  {
    id: 'chart-l0',
    title: 'Active features a token',
    of: ({ l0 }) => l0,
    heldOut: ({ l0 }) => l0,
    format: (value) => value.toFixed(1),
  },
  {
    id: 'chart-dead',
    title: 'Dead features',
    of: ({ dead_share }) => dead_share,
    heldOut: () => null,
    format: (value) => `${(100 * value).toFixed(1)} %`,
  },
];

export function Training() {
  const { name, log, error } = openedTraining.value!;
  return (
    <main class="training">
      <Panel
        id="training"
        title={`Training ${name}`}
        note={log.hasEnded ? 'ended' : undefined}
        actions={
          <button type="button" class="button" id="close-training" onClick={closeTraining}>
            Close
          </button>
        }
      >
        <div class="panel-body training-body">
          {error !== null && (
            <Problem error={error} failed="The log cannot be read" onRetry={retryTraining} />
          )}
          <Facts log={log} />
          {log.steps.length === 0 ? <Empty>No step is done yet.</Empty> : <Curves log={log} />}
          {log.steps.length > 0 && <LastValues log={log} />}
        </div>
      </Panel>
    </main>
  );
}

function Facts({ log }: { readonly log: TrainingLog }) {
  const progress = progressOf(log);
  const recipe = log.begin?.recipe;
  const facts: [string, string][] = [];
  if (recipe !== undefined) {
    const { activation, k, l0, d_transcoder, optimizer, learningRate, batchTokens, seed } = recipe;
    const sparsity = activation === 'topk' || activation === 'batchtopk' ? `k = ${k}` : `L0 ${l0}`;
    facts.push(
      ['kind', `${recipe.kind}, ${activation}, ${sparsity}${recipe.hasSkip ? ', with a skip' : ''}`],
      ['features', `${d_transcoder.toLocaleString('en')} a layer`],
      [
        'optimiser',
        `${optimizer}, ${learningRate.toPrecision(3)}, ${batchTokens} tokens a step, seed ${seed}`,
      ],
    );
  }
  if (progress !== null) {
    const { tokens, tokensTotal, tokensPerSecond, secondsLeft } = progress;
    const left = secondsLeft === null ? '' : `, ${duration(secondsLeft)} left`;
    facts.push(
      ['tokens', `${tokens.toLocaleString('en')} of ${tokensTotal.toLocaleString('en')}`],
      ['speed', `${Math.round(tokensPerSecond).toLocaleString('en')} tokens a second${left}`],
    );
  }
  if (log.nRevived > 0) facts.push(['revived', `${log.nRevived.toLocaleString('en')} features`]);
  return (
    <>
      {progress !== null && (
        <progress id="training-progress" max={1} value={progress.share} aria-label="Tokens trained on" />
      )}
      <dl class="training-facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function Curves({ log }: { readonly log: TrainingLog }) {
  const { steps, heldOut, begin } = log;
  const last = steps.at(-1)!;
  const xMost = (begin?.passes.length ?? last.pass) * last.tokens_total;
  const layers = layersOf(log);
  const loss: Curve = {
    name: 'loss',
    color: 'var(--accent)',
    points: steps.map((step) => [tokensUntil(step), step.loss]),
    dots: [],
  };
  return (
    <div class="charts">
      <Chart
        id="chart-loss"
        title="Loss"
        curves={[loss]}
        xMost={xMost}
        format={(value) => value.toPrecision(3)}
      />
      {QUANTITIES.map(({ id, title, of, heldOut: measured, format }) => (
        <Chart
          key={id}
          id={id}
          title={title}
          xMost={xMost}
          format={format}
          curves={layers.map((layer, i) => ({
            name: `layer ${layer}`,
            color: colorOf(i, layers.length),
            points: steps.flatMap((step) => {
              const value = step.layers.find((one) => one.layer === layer);
              return value === undefined ? [] : [[tokensUntil(step), of(value)] as const];
            }),
            dots: heldOut.flatMap((event) => {
              const found = event.layers.find((one) => one.layer === layer);
              const value = found === undefined ? null : measured(found);
              const at = tokensUntil({ ...event, tokens_total: last.tokens_total });
              return value === null ? [] : [[at, value] as const];
            }),
          }))}
        />
      ))}
    </div>
  );
}

function LastValues({ log }: { readonly log: TrainingLog }) {
  const rows = layersOf(log).map((layer) => {
    const has = ({ layers }: { readonly layers: readonly { readonly layer: number }[] }): boolean =>
      layers.some((one) => one.layer === layer);
    const value = log.steps.findLast(has)!.layers.find((one) => one.layer === layer)!;
    const measured = log.heldOut.findLast(has)?.layers.find((one) => one.layer === layer);
    return { layer, value, measured };
  });
  return (
    <table class="training-values">
      <thead>
        <tr>
          <th scope="col">Layer</th>
          {QUANTITIES.map(({ id, title }) => (
            <th scope="col" key={id}>
              {title}
            </th>
          ))}
          <th scope="col">Explained variance, held out</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ layer, value, measured }) => (
          <tr key={layer}>
            <th scope="row">{layer}</th>
            {QUANTITIES.map(({ id, of, format }) => (
              <td key={id}>{format(of(value))}</td>
            ))}
            <td>{measured?.explained_variance?.toFixed(3) ?? '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function layersOf({ steps }: TrainingLog): number[] {
  return [...new Set(steps.flatMap(({ layers }) => layers.map(({ layer }) => layer)))].sort((a, b) => a - b);
}

/** From blue to orange by layer; one layer has the colour of the page. */
function colorOf(i: number, n: number): string {
  return n === 1 ? 'var(--accent)' : `hsl(${Math.round(215 - (190 * i) / (n - 1))} 65% 52%)`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
