/**
 * Benchmark: the real binary in fresh processes, beside what the machine could do at best and beside the reference.
 *
 *   npm run bench -- [machine] [startup] [run] [attribute] [--layers 6] [--tokens 9,32] [--nodes 2048]
 *                    [--batch-size 256] [--runs 3] [--repeat 5] [--checkpoint DIR] [--max-memory SIZE] [--avx2] [--json]
 *
 * Without a word, all four. Lists (`--tokens 8,32,128,400`) give one row each. `--avx2` keeps oneDNN from using AVX-512,
 * so that the machine resembles the one that the reference was measured on.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { attributeBound, firstPassBound, passBound, WALK_ROWS } from './bounds.mjs';
import { isReferenceSize, REFERENCE } from './reference.mjs';
import { repeated, spread, tracer, tracerData } from './tracer-process.mjs';

const GIB = 2 ** 30;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    layers: { type: 'string', default: '6' },
    tokens: { type: 'string', default: '9' },
    nodes: { type: 'string', default: '2048' },
    'batch-size': { type: 'string', default: '256' },
    runs: { type: 'string', default: '3' },
    repeat: { type: 'string', default: '5' },
    checkpoint: { type: 'string' },
    'max-memory': { type: 'string' },
    avx2: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
// A variable of oneDNN (its page "CPU dispatcher control"), read when TensorFlow is loaded; children inherit it.
if (options.avx2) process.env['ONEDNN_MAX_CPU_ISA'] = 'AVX2';
const { measureMachine, printMachine } = await import('./machine.mjs');

const parts = positionals.length > 0 ? positionals : ['machine', 'startup', 'run', 'attribute'];
const layers = Number(options.layers);
const runs = Number(options.runs);
const numbers = (text) => text.split(',').map(Number);
const tokenCounts = numbers(options.tokens);
const nodeCounts = numbers(options.nodes);
const checkpoint = options.checkpoint ?? path.join(import.meta.dirname, 'checkpoints', `layers-${layers}`);
const subject = [
  ...['--model', path.join(checkpoint, 'model'), '--transcoders', path.join(checkpoint, 'transcoders')],
  ...['--device', 'cpu'],
  ...(options['max-memory'] ? ['--max-memory', options['max-memory']] : []),
];

/** BOS and ids spread over the vocabulary. */
function promptTokens(count) {
  return [2, ...Array.from({ length: count - 1 }, (_, i) => 1000 + ((i * 7919) % 250000))].join();
}

async function measureStartup() {
  const wall = async (args) =>
    spread((await repeated(2 * runs + 1, () => tracer(args))).map((r) => r.wallSeconds));
  return [
    { what: 'tracer --version', seconds: await wall(['--version']), wantedSeconds: 0.15 },
    { what: 'tracer --help', seconds: await wall(['--help']), wantedSeconds: 0.15 },
    {
      what: 'tracer run "Hello, world!" (embedded model)',
      seconds: await wall(['run', 'Hello, world!', '--device', 'cpu', '--quiet']),
      wantedSeconds: 1.5,
    },
  ];
}

async function measureRun(machine, tokens) {
  const args = [
    'run',
    ...subject,
    '--tokens',
    promptTokens(tokens),
    '--features',
    '5',
    '--repeat',
    options.repeat,
  ];
  const results = await repeated(runs, () => tracerData(args));
  const first = firstPassBound(machine, layers, tokens);
  const later = passBound(machine, layers, tokens);
  const untilFirstPass = ({ timings_ms: t }) => t.resolve + t.tokenizer + t.backend + t.load + t.forward;
  return {
    tokens,
    firstSeconds: spread(results.map(({ data }) => untilFirstPass(data) / 1000)),
    laterSeconds: spread(results.flatMap(({ data }) => data.repeats_ms).map((ms) => ms / 1000)),
    processSeconds: spread(results.map((r) => r.wallSeconds)),
    peakBytes: Math.max(...results.map(({ data }) => data.peak_rss_bytes)),
    firstBound: first.seconds,
    laterBound: later.seconds,
    parameterBytes: later.bytes,
  };
}

async function measureAttribute(machine, tokens, nodes) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'bench-'));
  const graph = path.join(folder, 'graph.safetensors');
  const args = [
    ...['attribute', ...subject, '--tokens', promptTokens(tokens), '--output', graph],
    ...['--max-feature-nodes', String(nodes), '--batch-size', options['batch-size']],
  ];
  try {
    const results = await repeated(runs, () => tracerData(args));
    const bound = await attributeBound(machine, layers, tokens, graph);
    return {
      tokens,
      nodes: results[0].data.n_selected_features,
      active: bound.n_active,
      attributeSeconds: spread(results.map(({ data: { timings_ms: t } }) => (t.prepare + t.rows) / 1000)),
      pruneSeconds: spread(results.map(({ data }) => data.timings_ms.prune / 1000)),
      processSeconds: spread(results.map((r) => r.wallSeconds)),
      peakBytes: Math.max(...results.map(({ data }) => data.peak_rss_bytes)),
      bound: bound.seconds,
      operations: bound.operations,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

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

/** Times as measured there, and as they would be if that machine multiplied as fast as this one. */
function besideReference(machine, referenceSeconds, { median }) {
  const scaled = (referenceSeconds * REFERENCE.productRate) / machine.products[WALK_ROWS];
  return [
    `${seconds(referenceSeconds)}, ${times(referenceSeconds / median)}`,
    `${seconds(scaled)}, ${times(scaled / median)}`,
  ];
}

const NO_REFERENCE = ['', ''];

function printRuns(machine, results) {
  const row = (tokens, what, found, bound, reference) => [
    String(tokens),
    what,
    measured(found),
    seconds(bound),
    times(found.median / bound),
    ...(isReferenceSize({ layers, tokens }) ? besideReference(machine, reference, found) : NO_REFERENCE),
  ];
  const head = ['tokens', 'run', 'median (best)', 'bound', 'of bound', 'reference, faster', 'scaled, faster'];
  table(
    head,
    results.flatMap((r) => {
      const { tokens } = r;
      const first = REFERENCE.loadSeconds + REFERENCE.passSeconds;
      const memory = isReferenceSize({ layers, tokens })
        ? [gib(REFERENCE.peakBytes), times(r.peakBytes / REFERENCE.peakBytes)]
        : NO_REFERENCE;
      return [
        row(tokens, 'load and first pass', r.firstSeconds, r.firstBound, first),
        row(tokens, 'later pass', r.laterSeconds, r.laterBound, REFERENCE.passSeconds),
        [
          String(tokens),
          'peak memory',
          gib(r.peakBytes),
          gib(r.parameterBytes),
          times(r.peakBytes / r.parameterBytes),
          ...memory,
        ],
      ];
    }),
  );
}

function printGraphs(machine, results) {
  const head = [
    'tokens',
    'nodes',
    'of active',
    'attribute (best)',
    'bound',
    'of bound',
    'reference, faster',
    'scaled, faster',
  ];
  table(
    [...head, 'prune', 'process', 'peak memory'],
    results.map((r) => [
      String(r.tokens),
      String(r.nodes),
      String(r.active),
      measured(r.attributeSeconds),
      seconds(r.bound),
      times(r.attributeSeconds.median / r.bound),
      ...(isReferenceSize({ layers, tokens: r.tokens }) && r.nodes === REFERENCE.nodes
        ? besideReference(machine, REFERENCE.attributeSeconds, r.attributeSeconds)
        : NO_REFERENCE),
      seconds(r.pruneSeconds.median),
      seconds(r.processSeconds.median),
      gib(r.peakBytes),
    ]),
  );
}

const report = { layers, runs };
if (parts.some((part) => part !== 'startup')) {
  report.machine = await measureMachine({
    file: path.join(checkpoint, 'transcoders', 'layer_0.safetensors'),
    rows: tokenCounts,
  });
}
if (parts.includes('startup')) report.startup = await measureStartup();
if (parts.includes('run')) {
  report.run = [];
  for (const tokens of tokenCounts) report.run.push(await measureRun(report.machine, tokens));
}
if (parts.includes('attribute')) {
  report.attribute = [];
  for (const tokens of tokenCounts) {
    for (const nodes of nodeCounts)
      report.attribute.push(await measureAttribute(report.machine, tokens, nodes));
  }
}

if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else {
  if (report.machine) printMachine(report.machine);
  if (report.startup) {
    table(
      ['start', 'median (best)', 'wanted'],
      report.startup.map((r) => [r.what, measured(r.seconds), `< ${seconds(r.wantedSeconds)}`]),
    );
  }
  if (report.run) printRuns(report.machine, report.run);
  if (report.attribute) printGraphs(report.machine, report.attribute);
}
