/** Benchmark: what was measured, as tables of Markdown. */
import { PHASE_HEAD, phaseRows } from './phases.mjs';

const GIB = 2 ** 30;

const seconds = (value) => `${value.toFixed(value < 1 ? 3 : 2)} s`;
/** The median, which is what counts, and the best, which shows how busy the machine was with other things. */
const measured = ({ median, best }) => `${seconds(median)} (${seconds(best)})`;
const times = (value) => `${value.toFixed(1)} ×`;
const gib = (bytes) => `${(bytes / GIB).toFixed(2)} GiB`;

function table(head, rows) {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i].length)));
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |\n`;
  process.stdout.write(
    `\n${line(head)}${line(widths.map((width) => '-'.repeat(width)))}${rows.map(line).join('')}`,
  );
}

export function printStartup(results) {
  const rows = results.map((r) => [r.what, measured(r.seconds), `< ${seconds(r.wantedSeconds)}`]);
  table(['start', 'median (best)', 'wanted'], rows);
}

export function printRuns(results) {
  const row = (tokens, what, found, bound) => [
    String(tokens),
    what,
    measured(found),
    seconds(bound),
    times(found.median / bound),
  ];
  table(
    ['tokens', 'run', 'median (best)', 'bound', 'of bound'],
    results.flatMap((r) => [
      row(r.tokens, 'load and first pass', r.firstSeconds, r.firstBound),
      row(r.tokens, 'later pass', r.laterSeconds, r.laterBound),
      [
        String(r.tokens),
        'peak memory',
        gib(r.peakBytes),
        gib(r.parameterBytes),
        times(r.peakBytes / r.parameterBytes),
      ],
    ]),
  );
}

export function printGraphs(results) {
  const head = ['tokens', 'nodes', 'of active', 'attribute (best)', 'bound', 'of bound'];
  const parts = ['prepare', 'rows', 'bound of rows', 'of bound', 'prune', 'process', 'peak memory'];
  table(
    [...head, ...parts],
    results.map((r) => [
      String(r.tokens),
      String(r.nodes),
      String(r.active),
      measured(r.attributeSeconds),
      seconds(r.bound),
      times(r.attributeSeconds.median / r.bound),
      seconds(r.prepareSeconds.median),
      seconds(r.rowsSeconds.median),
      seconds(r.rowsBound),
      times(r.rowsSeconds.median / r.rowsBound),
      seconds(r.pruneSeconds.median),
      seconds(r.processSeconds.median),
      gib(r.peakBytes),
    ]),
  );
}

export function printPhases(phases) {
  table(PHASE_HEAD, phaseRows(phases));
}

/** Both programs in one run, taken in turn. */
export function printPeer(peer, run, graph) {
  const row = (what, reference, found, bound) => [
    what,
    measured(reference),
    measured(found),
    times(reference.median / found.median),
    seconds(bound),
    times(found.median / bound),
  ];
  const peakBytes = Math.max(run.peakBytes, graph.peakBytes);
  table(
    [
      `${run.tokens} tokens`,
      `circuit-tracer (PyTorch ${peer.torch}, ${peer.threads} threads)`,
      ...['tracer', 'faster', 'bound', 'of bound'],
    ],
    [
      row('load and first pass', peer.firstSeconds, run.firstSeconds, run.firstBound),
      row('later pass', peer.laterSeconds, run.laterSeconds, run.laterBound),
      row(`attribute, ${graph.nodes} nodes`, peer.attributeSeconds, graph.attributeSeconds, graph.bound),
      [
        'peak memory',
        gib(peer.peakBytes),
        gib(peakBytes),
        `${(peakBytes / peer.peakBytes).toFixed(2)} of it`,
        gib(run.parameterBytes),
        times(peakBytes / run.parameterBytes),
      ],
    ],
  );
}

export function printAttention(r) {
  table(
    ['tokens', 'nodes', 'sources', 'links', 'what', 'median (best)', 'beside', 'of it'],
    [
      [
        'loadings of all links',
        r.linksSeconds,
        `the graph, ${measured(r.graphSeconds)}`,
        r.graphSeconds.median,
      ],
      ...r.heads.flatMap(({ layer, bound, oneSeconds, tenSeconds }) => [
        [`pairs of one head, layer ${layer}`, oneSeconds, `its products, ${seconds(bound)}`, bound],
        [`pairs of ten heads, layer ${layer}`, tenSeconds, 'one head', oneSeconds.median],
      ]),
    ].map(([what, found, beside, reference]) => [
      ...[r.tokens, r.nodes, r.n_sources, r.links].map(String),
      what,
      measured(found),
      beside,
      times(found.median / reference),
    ]),
  );
}
