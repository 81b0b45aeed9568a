/**
 * Benchmark: `run` and `attribute` at Gemma-2-2B's shape on any device, each beside the least that it could cost there.
 *
 *   npm run build && node bench/gpu.mjs [--device auto|cuda|cuda:N|webgpu|cpu] [--layers 26] [--tokens 9,64] [--nodes 2048]
 *                    [--batch-size 256] [--runs 3] [--repeat 5] [--checkpoint DIR] [--max-device-memory SIZE] [--json]
 *
 * The rates of the device are measured in the same run by its own backend: bytes a second that it reads and writes, operations a
 * second of products, bytes a second that are sent to it. The checkpoint is made where it is missing (26 layers: 15 GB).
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../dist/backend/select.js';
import { WALK_ROWS } from './bounds.mjs';
import { ensureCheckpoint } from './checkpoint.mjs';
import { attributeOnce, runOnce, summariseGraphs, summariseRuns, withGraphFile } from './measure.mjs';
import { SHAPE } from './shapes.mjs';
import { printGraphs, printRuns } from './tables.mjs';
import { repeated } from './tracer-process.mjs';

const { d_model, d_mlp } = SHAPE;
const MIB = 2 ** 20;
const STREAM_BYTES = 256 * MIB;
const ROUNDS = 5;
/** Work is given to the device together until it takes so long, so that starting it and reading the result do not count. */
const SHORTEST_SECONDS = 0.2;

/** What `using` calls, also where Node has no such symbol of its own. */
const disposal = Symbol.dispose;

const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'auto' },
    layers: { type: 'string', default: String(SHAPE.n_layers) },
    tokens: { type: 'string', default: '9' },
    nodes: { type: 'string', default: '2048' },
    'batch-size': { type: 'string', default: '256' },
    runs: { type: 'string', default: '3' },
    repeat: { type: 'string', default: '5' },
    checkpoint: { type: 'string' },
    'max-device-memory': { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

/** The best seconds of one piece of work, of which many are in flight. `work` gives a tensor, of which one number is read at the end. */
async function secondsEach(work) {
  const timed = async (n) => {
    const startMs = performance.now();
    for (let i = 1; i < n; i++) work().dispose();
    const last = work();
    const one = tf.tidy(() => tf.slice(tf.reshape(last, [-1]), [0], [1]));
    await one.data();
    last.dispose();
    one.dispose();
    return (performance.now() - startMs) / 1000;
  };
  await timed(1); // compiles
  let n = 1;
  let seconds = await timed(n);
  while (seconds < SHORTEST_SECONDS) seconds = await timed((n *= 2));
  for (let i = 1; i < ROUNDS; i++) seconds = Math.min(seconds, await timed(n));
  return seconds / n;
}

/** Rates of the device: FLOP/s by rows of x, of TF.js' float32 product and of that with stored bfloat16; bytes/s. */
async function measureDevice(backend, rows) {
  const bytes = new Uint8Array(new Uint16Array(d_mlp * d_model).map((_, i) => 0x3f00 + (i % 101)).buffer);
  const source = { name: 'stored', shape: [d_mlp, d_model], dtype: 'bfloat16', bytes };
  const weight = await backend.loadWeight(source);
  const held = await weight.acquire();
  const matrix = tf.randomNormal([d_model, d_mlp]);
  const [float32, stored] = [{}, {}];
  for (const M of rows) {
    const x = tf.randomNormal([M, d_model]);
    const operations = 2 * M * d_model * d_mlp;
    float32[M] = operations / (await secondsEach(() => tf.matMul(x, matrix)));
    stored[M] = operations / (await secondsEach(() => held.matMul(x, { transpose: true })));
    x.dispose();
  }
  matrix.dispose();
  const sent = await secondsToSend(backend, source);
  weight[disposal]();
  const large = tf.ones([STREAM_BYTES / 4]);
  const read = (2 * STREAM_BYTES) / (await secondsEach(() => tf.neg(large)));
  large.dispose();
  const best = (M) => Math.max(float32[M], stored[M]);
  return {
    engine: backend.version,
    device: backend.device,
    float32_products: float32,
    stored_products: stored,
    products: Object.fromEntries(rows.map((M) => [M, best(M)])),
    memory: { read },
    files: { cached_file: bytes.byteLength / sent },
  };
}

/** From memory of this process to where the device can multiply with it. */
async function secondsToSend(backend, source) {
  let best = Infinity;
  const x = tf.ones([1, d_model]);
  for (let i = 0; i < ROUNDS; i++) {
    const startMs = performance.now();
    const weight = await backend.loadWeight(source);
    const held = await weight.acquire();
    const product = held.matMul(x, { transpose: true });
    await product.data();
    product.dispose();
    weight[disposal]();
    best = Math.min(best, (performance.now() - startMs) / 1000);
  }
  x.dispose();
  return best;
}

function printDevice({ engine, device, float32_products, stored_products, memory, files }) {
  const rate = (M, value) => {
    const ms = ((2 * M * d_model * d_mlp) / value) * 1000;
    return `${(value / 1e9).toFixed(0).padStart(7)} GFLOP/s ${ms.toFixed(2).padStart(8)} ms`;
  };
  const lines = [
    `${device}, ${engine}`,
    `product [M, ${d_model}] × [${d_model}, ${d_mlp}]: float32; stored bfloat16`,
    ...Object.keys(float32_products).map(
      (M) => `  M = ${M.padEnd(5)} ${rate(M, float32_products[M])} ${rate(M, stored_products[M])}`,
    ),
    `memory: ${(memory.read / 1e9).toFixed(0)} GB/s read and written; sent to the device ${(files.cached_file / 1e9).toFixed(1)} GB/s`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const layers = Number(options.layers);
const numbers = (text) => text.split(',').map(Number);
const [tokenCounts, nodeCounts] = [numbers(options.tokens), numbers(options.nodes)];
const checkpoint = ensureCheckpoint(options.checkpoint, layers);
const { backend } = await selectBackend({ device: options.device, arithmetic: 'float32' });
const machine = await measureDevice(
  backend,
  [...new Set([1, ...tokenCounts, WALK_ROWS, 1024])].sort((a, b) => a - b),
);
const subject = [
  ...['--model', `${checkpoint}/model`, '--transcoders', `${checkpoint}/transcoders`],
  ...['--device', backend.device],
  ...(options['max-device-memory'] ? ['--max-device-memory', options['max-device-memory']] : []),
];
const runs = Number(options.runs);
const report = { layers, machine, run: [], attribute: [] };
if (!options.json) printDevice(machine);
for (const tokens of tokenCounts) {
  const passes = await repeated(runs, () => runOnce({ subject, tokens, repeat: options.repeat }));
  report.run.push(summariseRuns(machine, { layers, tokens }, passes));
  for (const nodes of nodeCounts) {
    const summary = await withGraphFile(async (graph) => {
      const one = { subject, tokens, nodes, batchSize: options['batch-size'], graph };
      const results = await repeated(runs, () => attributeOnce(one));
      return await summariseGraphs(machine, { layers, tokens, graph }, results);
    });
    report.attribute.push(summary);
  }
}
if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else {
  printRuns(report.run);
  printGraphs(report.attribute);
}
