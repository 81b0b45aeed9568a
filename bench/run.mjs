/**
 * Benchmark: the real binary in fresh processes, beside what the machine could do at best and, with `--peer`, beside the
 * reference in the same run.
 *
 *   npm run bench -- [machine] [startup] [run] [attribute] [attention] [phases] [--layers 6] [--tokens 9,32] [--nodes 2048]
 *                    [--batch-size 256] [--runs 3] [--repeat 5] [--checkpoint DIR] [--max-memory SIZE] [--avx2] [--json]
 *                    [--peer PYTHON]
 *
 * Without a word, all but `attention` and `phases`. The checkpoint is made where it is missing. Lists (`--tokens 8,32,128,400`) give one row
 * each. `--avx2` holds all products to AVX2. `--peer` names a Python with circuit-tracer (README.md says how to install it).
 */
import { parseArgs } from 'node:util';
import { ensureCheckpoint } from './checkpoint.mjs';
import {
  attributeOnce,
  measureStartup,
  promptTokens,
  runOnce,
  summariseGraphs,
  summarisePeer,
  summariseRuns,
  withGraphFile,
} from './measure.mjs';
import { measurePeer } from './peer.mjs';
import { measurePhases } from './phases.mjs';
import { printAttention, printGraphs, printPeer, printPhases, printRuns, printStartup } from './tables.mjs';
import { repeated } from './tracer-process.mjs';

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
    peer: { type: 'string' },
    avx2: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
// Read when TensorFlow and the addon are loaded; children inherit them. (oneDNN's page "CPU dispatcher control".)
if (options.avx2) Object.assign(process.env, { ONEDNN_MAX_CPU_ISA: 'AVX2', TRACER_KERNEL: 'avx2' });
const { measureMachine, printMachine } = await import('./machine.mjs');

const parts = positionals.length > 0 ? positionals : ['machine', 'startup', 'run', 'attribute'];
const layers = Number(options.layers);
const runs = Number(options.runs);
const batchSize = options['batch-size'];
const numbers = (text) => text.split(',').map(Number);
const tokenCounts = numbers(options.tokens);
const nodeCounts = numbers(options.nodes);
const report = { layers, runs };

if (parts.includes('startup')) report.startup = await measureStartup(2 * runs + 1);
if (parts.some((part) => part !== 'startup') || options.peer) {
  const checkpoint = ensureCheckpoint(options.checkpoint, layers);
  const subject = [
    ...['--model', `${checkpoint}/model`, '--transcoders', `${checkpoint}/transcoders`, '--device', 'cpu'],
    ...(options['max-memory'] ? ['--max-memory', options['max-memory']] : []),
  ];
  const file = `${checkpoint}/transcoders/layer_0.safetensors`;
  report.machine = await measureMachine({ file, rows: tokenCounts });
  await measure(checkpoint, subject);
}

async function measure(checkpoint, subject) {
  const { machine } = report;
  if (parts.includes('run')) {
    report.run = [];
    for (const tokens of tokenCounts) {
      const results = await repeated(runs, () => runOnce({ subject, tokens, repeat: options.repeat }));
      report.run.push(summariseRuns(machine, { layers, tokens }, results));
    }
  }
  if (parts.includes('attribute')) {
    report.attribute = [];
    for (const tokens of tokenCounts) {
      for (const nodes of nodeCounts) {
        const summary = await withGraphFile(async (graph) => {
          const results = await repeated(runs, () =>
            attributeOnce({ subject, tokens, nodes, batchSize, graph }),
          );
          return await summariseGraphs(machine, { layers, tokens, graph }, results);
        });
        report.attribute.push(summary);
      }
    }
  }
  const [tokens, nodes] = [tokenCounts[0], nodeCounts[0]];
  const tokenList = promptTokens(tokens);
  if (parts.includes('attention')) {
    const { measureAttention } = await import('./attention.mjs');
    report.attention = await withGraphFile((graph) =>
      measureAttention(machine, { checkpoint, tokens, nodes, batchSize, layers, graph, runs }),
    );
  }
  if (parts.includes('phases')) {
    report.phases = await withGraphFile((graph) =>
      measurePhases(machine, { subject, tokens, tokenList, layers, nodes, batchSize, graph }),
    );
  }
  if (options.peer) report.peer = await besidePeer({ checkpoint, subject, tokens, nodes, tokenList });
}

/** Both programs in turn, so that what else the machine does meets both. */
async function besidePeer({ checkpoint, subject, tokens, nodes, tokenList }) {
  const { machine } = report;
  return await withGraphFile(async (graph) => {
    const found = await repeated(runs, async () => ({
      run: await runOnce({ subject, tokens, repeat: options.repeat }),
      attribute: await attributeOnce({ subject, tokens, nodes, batchSize, graph }),
      peer: await measurePeer(options.peer, { checkpoint, tokens: tokenList, nodes, batchSize }),
    }));
    const of = (part) => found.map((round) => round[part]);
    return {
      run: summariseRuns(machine, { layers, tokens }, of('run')),
      attribute: await summariseGraphs(machine, { layers, tokens, graph }, of('attribute')),
      reference: summarisePeer(of('peer')),
    };
  });
}

if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else {
  if (report.machine) printMachine(report.machine);
  if (report.startup) printStartup(report.startup);
  if (report.run) printRuns(report.run);
  if (report.attribute) printGraphs(report.attribute);
  if (report.attention) printAttention(report.attention);
  if (report.phases) printPhases(report.phases);
  if (report.peer) printPeer(report.peer.reference, report.peer.run, report.peer.attribute);
}
