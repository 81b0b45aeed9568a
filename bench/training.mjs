/**
 * `tracer train` beside EleutherAI sparsify: the same rows in the same order, in turn, in one run.
 *
 *   node bench/training.mjs --model MODEL [--steps 147] [--peer PYTHON --script peer_train.py --checkpoint FOLDER --python-path A:B]
 *
 * MODEL: what `tracer` takes; FOLDER: the same model as a Hugging Face checkpoint. The rows are 256 tokens each of the Markdown files below
 * node_modules, shuffled; 64 are held out. Prints one JSON object a program: tokens a second, and what is left unexplained of held-out rows.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROW_TOKENS = 256;
const ROWS_A_STEP = 8;
const HELD_ROWS = 64;
/** Shorter files are mostly licences and links. */
const SMALLEST_FILE_BYTES = 1024;
const LAYER = 10;
const FEATURES = 4096;
const K = 32;

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    steps: { type: 'string', default: '147' },
    peer: { type: 'string' },
    script: { type: 'string' },
    checkpoint: { type: 'string' },
    'python-path': { type: 'string' },
  },
});
if (!values.model) throw new Error('--model is missing');
const steps = Number(values.steps);
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tracer-bench-'));
try {
  const rows = await makeRows();
  console.log(JSON.stringify({ program: 'tracer', ...runTracer(rows) }));
  if (values.peer) console.log(JSON.stringify({ program: 'sparsify', ...runPeer(rows) }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function makeRows() {
  const [{ openSubject, openTokenizer }, { Random }] = await Promise.all([
    import('../dist/engine/opened-subject.js'),
    import('../dist/random.js'),
  ]);
  const opened = await openSubject({ model: values.model, transcoders: 'none' }, { mayLackSet: true });
  const tokenizer = await openTokenizer(opened.subject.model);
  opened[Symbol.dispose](); // Node 20 has no `using`
  const ids = [];
  for (const file of markdown(join(root, 'node_modules'))) {
    ids.push(tokenizer.eosId);
    for (const id of tokenizer.encode(readFileSync(file, 'utf8'))) ids.push(id);
  }
  const all = Array.from({ length: Math.floor(ids.length / ROW_TOKENS) }, (_, i) =>
    ids.slice(i * ROW_TOKENS, (i + 1) * ROW_TOKENS),
  );
  const shuffled = new Random(1).shuffled(all);
  const train = shuffled.slice(HELD_ROWS, HELD_ROWS + steps * ROWS_A_STEP);
  if (train.length < steps * ROWS_A_STEP) throw new Error(`there are only ${train.length} rows to train on`);
  const rows = { held: shuffled.slice(0, HELD_ROWS), train };
  writeFileSync(join(folder, 'rows.json'), JSON.stringify(rows));
  for (const part of ['held', 'train']) {
    const lines = rows[part].map((tokens) => `${JSON.stringify({ tokens })}\n`);
    writeFileSync(join(folder, `${part}.jsonl`), lines.join(''));
  }
  return rows;
}

function markdown(below) {
  return readdirSync(below, { recursive: true })
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => join(below, name))
    .filter((file) => statSync(file).size >= SMALLEST_FILE_BYTES);
}

function runTracer({ train }) {
  // The first position of a row is left out: a step has the other tokens of its rows.
  const batchTokens = ROWS_A_STEP * (ROW_TOKENS - 1);
  const tokens = (train.length / ROWS_A_STEP) * batchTokens;
  const output = run(process.execPath, [
    join(root, 'bin/tracer.js'),
    ...[
      'train',
      '--json',
      '--quiet',
      '--no-evaluate',
      '--model',
      values.model,
      '--output',
      join(folder, 'set'),
    ],
    ...['--corpus', join(folder, 'train.jsonl'), '--held-out', join(folder, 'held.jsonl'), '--shuffle', '0'],
    ...['--layers', String(LAYER), '--features', String(FEATURES), '--k', String(K)],
    ...['--context', String(ROW_TOKENS), '--batch-tokens', String(batchTokens), '--tokens', String(tokens)],
  ]);
  const { data } = JSON.parse(output);
  const [layer] = data.held_out;
  return {
    tokens: data.n_tokens,
    tokens_per_second: Math.round(data.tokens_per_second),
    held_fvu: 1 - layer.explained_variance,
    l0: layer.l0,
    never_active_share: layer.never_active_share,
    peak_rss_bytes: data.peak_rss_bytes,
  };
}

function runPeer() {
  const path = values['python-path'];
  const output = run(
    values.peer,
    [values.script, values.checkpoint, join(folder, 'rows.json'), String(steps), '--layer', String(LAYER)],
    path === undefined ? {} : { PYTHONPATH: path },
  );
  return JSON.parse(output.trim().split('\n').at(-1));
}

function run(program, args, env = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, ...env },
  });
  if (status !== 0)
    throw new Error(`${program} ${args[0]} ended with ${status}: ${(stderr || stdout).slice(-2000)}`);
  return stdout;
}
