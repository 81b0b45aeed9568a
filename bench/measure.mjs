/** Benchmark: times of the real command line in fresh processes, each beside its bound. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { attributeBound, firstPassBound, passBound } from './bounds.mjs';
import { repeated, spread, tracer, tracerData } from './tracer-process.mjs';

/** BOS and ids spread over the vocabulary. */
export function promptTokens(count) {
  return [2, ...Array.from({ length: count - 1 }, (_, i) => 1000 + ((i * 7919) % 250000))].join();
}

export async function measureStartup(runs) {
  const wall = async (args) => spread((await repeated(runs, () => tracer(args))).map((r) => r.wallSeconds));
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

/** One process of `run`: a first pass with features, then `repeat` more. */
export async function runOnce({ subject, tokens, repeat }) {
  const args = ['run', ...subject, '--tokens', promptTokens(tokens), '--features', '5', '--repeat', repeat];
  return await tracerData(args);
}

export function summariseRuns(machine, { layers, tokens }, results) {
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

/** Calls `work` with the path of a graph file, in a folder that is removed afterwards. */
export async function withGraphFile(work) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'bench-'));
  try {
    return await work(path.join(folder, 'graph.safetensors'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One process of `attribute`. */
export async function attributeOnce({ subject, tokens, nodes, batchSize, graph }) {
  return await tracerData([
    ...['attribute', ...subject, '--tokens', promptTokens(tokens), '--output', graph],
    ...['--max-feature-nodes', String(nodes), '--batch-size', batchSize],
  ]);
}

export async function summariseGraphs(machine, { layers, tokens, graph }, results) {
  const bound = await attributeBound(machine, layers, tokens, graph);
  return {
    tokens,
    nodes: results[0].data.n_selected_features,
    active: bound.n_active,
    attributeSeconds: spread(results.map(({ data: { timings_ms: t } }) => (t.prepare + t.rows) / 1000)),
    prepareSeconds: spread(results.map(({ data }) => data.timings_ms.prepare / 1000)),
    rowsSeconds: spread(results.map(({ data }) => data.timings_ms.rows / 1000)),
    pruneSeconds: spread(results.map(({ data }) => data.timings_ms.prune / 1000)),
    processSeconds: spread(results.map((r) => r.wallSeconds)),
    peakBytes: Math.max(...results.map(({ data }) => data.peak_rss_bytes)),
    bound: bound.seconds,
    rowsBound: bound.walkSeconds,
    operations: bound.operations,
  };
}

/** Of several processes of the reference. */
export function summarisePeer(results) {
  const [{ torch, threads, active_features }] = results;
  const first = ({ load_seconds, pass_seconds: [pass] }) => load_seconds + pass;
  return {
    torch,
    threads,
    active: active_features,
    firstSeconds: spread(results.map(first)),
    laterSeconds: spread(results.flatMap(({ pass_seconds }) => pass_seconds.slice(1))),
    attributeSeconds: spread(results.map(({ attribute_seconds }) => attribute_seconds)),
    pruneSeconds: spread(results.map(({ prune_seconds }) => prune_seconds)),
    peakBytes: Math.max(...results.map(({ peak_bytes }) => peak_bytes)),
  };
}
