/**
 * Benchmark: `tracer graph collect` of graphs with a million edges after pruning, in a process of its own, and the time of a question.
 *
 *   npm run -s build && node bench/study.mjs [--graphs 1100] [--features 60] [--store nodes|full] [--json]
 *
 * The graphs have nine tokens, 26 layers of errors and weights of both signs; what pruning leaves of each is about 950 links.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeGraph } from '../dist/graph/files.js';
import { nodeInfluence } from '../dist/graph/influence.js';
import { keptGraph } from '../dist/graph/kept-graph.js';
import { NodeLayout } from '../dist/graph/node-layout.js';
import { pruneGraph } from '../dist/graph/prune.js';
import { graphScores } from '../dist/graph/scores.js';
import { Random } from '../dist/random.js';

const { values: options } = parseArgs({
  options: {
    graphs: { type: 'string', default: '1100' },
    features: { type: 'string', default: '60' },
    store: { type: 'string', default: 'nodes' },
    json: { type: 'boolean', default: false },
  },
});
const N_POS = 9;
const N_LAYERS = 26;
const BINARY = path.join(import.meta.dirname, '..', 'bin', 'tracer.js');
const LIMITS = { seconds: 30, bytes: 2 ** 30, edges: 1e6 };

const scratch = mkdtempSync(path.join(tmpdir(), 'tracer-bench-study-'));
try {
  const folder = path.join(scratch, 'graphs');
  mkdirSync(folder);
  const lines = [];
  for (let line = 1; line <= Number(options.graphs); line++) lines.push(await writeOne(folder, line));
  writeFileSync(
    path.join(folder, 'manifest.jsonl'),
    `${lines.map((one) => JSON.stringify(one)).join('\n')}\n`,
  );

  const study = path.join(scratch, 'study');
  const collected = timed(['collect', folder, '--output', study]);
  const asked = timed(['query', study, 'SELECT kind, count(*) FROM nodes GROUP BY ALL']);
  const { n_graphs, n_nodes, n_edges, files, peak_rss_bytes } = collected.data;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const report = {
    n_graphs,
    n_nodes,
    n_edges,
    seconds: collected.seconds,
    peak_rss_bytes,
    bytes,
    query_seconds: asked.seconds,
  };
  if (options.json) console.log(JSON.stringify(report));
  else
    for (const [name, value] of Object.entries(report))
      console.log(`${name.padEnd(16)}${value.toLocaleString('en-US')}`);
  const isWithin =
    n_edges < LIMITS.edges || (collected.seconds < LIMITS.seconds && peak_rss_bytes < LIMITS.bytes);
  if (!isWithin) process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function writeOne(folder, line) {
  const random = new Random(line);
  const n_features = Number(options.features);
  const layout = new NodeLayout({ n_features, n_layers: N_LAYERS, n_pos: N_POS, n_logits: 1 });
  const places = Array.from({ length: n_features }, (_, i) => [
    Math.floor((i * N_LAYERS) / n_features),
    random.below(N_POS),
    random.below(500) + 500 * i,
  ]).sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  const edges = new Float32Array(layout.n_rows * layout.n_nodes);
  for (let row = 0; row < layout.n_rows; row++) {
    const layer = places[row]?.[0] ?? N_LAYERS;
    for (let source = 0; source < layout.logits.start; source++) {
      if (source < n_features ? places[source][0] >= layer : random.next() < 0.9) continue;
      edges[row * layout.n_nodes + source] = random.normal() * (source < n_features ? 1 : 0.1);
    }
  }
  const tokens = Array.from({ length: N_POS }, (_, i) => ` token${i}`);
  const store =
    options.store === 'nodes' ? { store: 'nodes', node_threshold: 0.8, edge_threshold: 0.98 } : {};
  const source = { name: 'synthetic', revision: 'none', config_sha256: null };
  const whole = {
    layout,
    edges,
    active_features: Int32Array.from(places.flat()),
    activation_values: new Float32Array(n_features).fill(1),
    selected_features: Int32Array.from(places.keys()),
    input_tokens: Int32Array.from(tokens.keys()),
    logit_token_ids: Int32Array.of(7),
    logit_probabilities: Float32Array.of(0.9),
    node_influence: new Float32Array(layout.n_nodes),
    provenance: {
      ...{ tracer_version: '0', model: source, transcoders: source, backend: 'none', device: 'none' },
      ...{ dtype: 'float32', options: store, prompt: tokens.join(''), token_strings: tokens },
      ...{ logit_labels: [' answer'], vocabulary_size: 1000, scan: 'synthetic', created: '' },
    },
  };
  whole.node_influence.set(nodeInfluence(whole));
  const scores = graphScores(whole);
  const file = path.join(folder, `graph-${line}.safetensors`);
  await writeGraph(file, options.store === 'nodes' ? keptGraph(pruneGraph(whole), scores) : whole);
  const files = [{ path: path.basename(file), bytes: statSync(file).size }];
  const slug = `graph-${line}`;
  return {
    slug,
    line,
    prompt: tokens.join(''),
    metadata: { group: line % 2 },
    origin: slug,
    n_tokens: N_POS,
    scores,
    files,
  };
}

function timed(args) {
  const startMs = performance.now();
  const { status, stdout } = spawnSync(process.execPath, [BINARY, 'graph', ...args, '--json', '--quiet'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`tracer graph ${args.join(' ')} ended with ${status}: ${stdout}`);
  return { data: JSON.parse(stdout).data, seconds: (performance.now() - startMs) / 1000 };
}
