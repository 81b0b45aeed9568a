/**
 * Benchmark, preloaded into a `tracer` process (`node --import bench/account.mjs bin/tracer.js …`): where the time of each
 * phase goes. What it found is written as JSON into the file that BENCH_ACCOUNT names, when the process ends.
 *
 * TensorFlow's ops run in the calling thread until they are done, so an op's time is that of its call into the addon. Time
 * in which the event loop is idle is waiting for files; what is left of a phase is JavaScript.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** Kinds of ops; what is not listed is a small operation. */
const KINDS = {
  product: ['MatMul', '_FusedMatMul', 'BatchMatMulV2', 'TracerProduct'],
  widening: ['Cast'],
  copying: [
    'Transpose',
    'ConcatV2',
    'Slice',
    'GatherV2',
    'TracerGather',
    'Pad',
    'PadV2',
    'Pack',
    'Unpack',
    'Tile',
  ],
};
const KIND_OF = new Map(Object.entries(KINDS).flatMap(([kind, ops]) => ops.map((op) => [op, kind])));

/** Milliseconds and calls so far, by kind and op: `product/MatMul`. */
const spent = new Map();
const phases = [];
const open = new Map();

function add(name, ms) {
  const entry = spent.get(name) ?? { ms: 0, calls: 0 };
  entry.ms += ms;
  entry.calls += 1;
  spent.set(name, entry);
}

function timed(nameOf, work) {
  return function (...args) {
    const startMs = performance.now();
    try {
      return work.apply(this, args);
    } finally {
      add(nameOf(args), performance.now() - startMs);
    }
  };
}

const loadAddon = process.dlopen;
process.dlopen = function (module, ...rest) {
  loadAddon.call(process, module, ...rest);
  const addon = module.exports;
  if (typeof addon.executeOp !== 'function') return;
  const kindOf = (op) => KIND_OF.get(op) ?? 'small';
  // Properties of an addon are read-only, so an object in front of it has the timed ones.
  module.exports = Object.create(addon, {
    executeOp: { value: timed(([op]) => `${kindOf(op)}/${op}`, addon.executeOp) },
    createTensor: { value: timed(() => 'copying/createTensor', addon.createTensor) },
    tensorDataSync: { value: timed(() => 'copying/tensorDataSync', addon.tensorDataSync) },
  });
};

const snapshot = () => ({
  atMs: performance.now(),
  idleMs: performance.eventLoopUtilization().idle,
  spent: new Map([...spent].map(([name, entry]) => [name, { ...entry }])),
});

function difference(start, end) {
  const ops = {};
  let inOps = 0;
  for (const [name, { ms, calls }] of end.spent) {
    const before = start.spent.get(name) ?? { ms: 0, calls: 0 };
    if (calls === before.calls) continue;
    ops[name] = { ms: ms - before.ms, calls: calls - before.calls };
    inOps += ms - before.ms;
  }
  const ms = end.atMs - start.atMs;
  const idleMs = end.idleMs - start.idleMs;
  return { ms, idleMs, scriptMs: ms - idleMs - inOps, ops };
}

// The start of Node and the loading of modules count as a phase of their own, until the first one begins.
open.set('start', { atMs: 0, idleMs: 0, spent: new Map() });

subscribe('tracer.phase', ({ phase, at }) => {
  if (open.has('start')) end('start');
  if (at === 'start') open.set(phase, snapshot());
  else end(phase);
});

function end(phase) {
  phases.push({ phase, ...difference(open.get(phase), snapshot()) });
  open.delete(phase);
}

process.on('exit', () => writeFileSync(process.env.BENCH_ACCOUNT, JSON.stringify(phases)));
