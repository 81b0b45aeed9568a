/**
 * Benchmark, `phases`: where the time of each phase goes, from the calls of the addon that executes TensorFlow's ops
 * (`account.mjs`), beside the bytes and operations that the phase needs and the bound that follows.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { graphOperations, meanRowBytes, passBound, WALK_ROWS } from './bounds.mjs';
import { tracerData } from './tracer-process.mjs';

const ACCOUNT = path.join(import.meta.dirname, 'account.mjs');

/** Runs a command with the account preloaded; its phases, those of one name (repeated passes) as their median. */
async function accountOf(args) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'bench-'));
  const file = path.join(folder, 'account.json');
  try {
    await tracerData(args, { preload: ACCOUNT, env: { BENCH_ACCOUNT: file } });
    const phases = JSON.parse(await readFile(file, 'utf8'));
    const names = [...new Set(phases.map(({ phase }) => phase))];
    return names.map((name) => {
      const same = phases.filter(({ phase }) => phase === name).sort((a, b) => a.ms - b.ms);
      return same[same.length >> 1];
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const NOTHING = { bytes: 0, operations: 0, seconds: 0 };

function sum(a, b) {
  return {
    bytes: a.bytes + b.bytes,
    operations: a.operations + b.operations,
    seconds: a.seconds + b.seconds,
  };
}

/**
 * @param subject flags that name model, set and device; `graph`: a file that `attribute` may write
 * @returns of `run` and `attribute`, each phase with milliseconds by kind, and what it needs at least
 */
export async function measurePhases(
  machine,
  { subject, tokens, tokenList, layers, nodes, batchSize, graph },
) {
  const pass = passBound(machine, layers, tokens);
  const mean = { bytes: meanRowBytes(), operations: 0, seconds: meanRowBytes() / machine.memory.read };
  const common = [...subject, '--tokens', tokenList];
  const run = await accountOf(['run', ...common, '--features', '5', '--repeat', '5']);
  const attribute = await accountOf([
    ...['attribute', ...common, '--output', graph],
    ...['--max-feature-nodes', String(nodes), '--batch-size', batchSize],
  ]);
  const { operations } = await graphOperations(graph, layers, tokens);
  const rows = { bytes: 0, operations, seconds: operations / machine.products[WALK_ROWS] };
  const needs = { forward: pass, repeat: pass, prepare: sum(pass, mean), rows };
  const withNeeds = (command, phases) =>
    phases.map((phase) => ({
      command,
      ...phase,
      kinds: kindsOf(phase),
      needs: needs[phase.phase] ?? NOTHING,
    }));
  return [...withNeeds('run', run), ...withNeeds('attribute', attribute)];
}

const KINDS = ['product', 'widening', 'copying', 'small'];

/** Milliseconds and calls by kind of op. */
function kindsOf({ ops }) {
  return Object.fromEntries(
    KINDS.map((kind) => {
      const all = Object.entries(ops).filter(([name]) => name.startsWith(`${kind}/`));
      return [
        kind,
        {
          ms: all.reduce((total, [, { ms }]) => total + ms, 0),
          calls: all.reduce((total, [, { calls }]) => total + calls, 0),
        },
      ];
    }),
  );
}

/** Rows of a table: one a phase that took a millisecond or more. */
export function phaseRows(phases) {
  const ms = (value) => (value < 0.5 ? '' : value.toFixed(0));
  const withCalls = ({ ms: spent, calls }) => (calls === 0 ? '' : `${spent.toFixed(0)} (${calls})`);
  return phases
    .filter((phase) => phase.ms >= 1)
    .map(({ command, phase, ms: total, idleMs, scriptMs, kinds, needs }) => [
      command,
      phase,
      total.toFixed(0),
      ...KINDS.map((kind) => withCalls(kinds[kind])),
      ms(idleMs),
      ms(scriptMs),
      needs.bytes ? (needs.bytes / 1e9).toFixed(2) : '',
      needs.operations ? (needs.operations / 1e9).toFixed(0) : '',
      ms(needs.seconds * 1000),
      needs.seconds ? `${(total / 1000 / needs.seconds).toFixed(1)} ×` : '',
    ]);
}

export const PHASE_HEAD = [
  ...[
    'command',
    'phase',
    'ms',
    'products (calls)',
    'widening',
    'copying',
    'small operations',
    'waiting',
    'JavaScript',
  ],
  ...['GB', 'GFLOP', 'bound, ms', 'of bound'],
];
