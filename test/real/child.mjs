/** A process of `run.mjs`: loads a model (a GGUF file, or a folder) on a device, and prints as JSON how far its logits are off. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { selectBackend } from '../../dist/backend/select.js';
import { PromptReader } from '../../dist/engine/prompt-reader.js';
import { openFileSource } from '../../dist/formats/byte-source.js';
import { openCheckpoint } from '../../dist/model/checkpoint.js';
import { withGguf } from '../../dist/model/gguf-files.js';
import { loadTransformer } from '../../dist/model/load.js';
import { USUAL_PROMPT } from '../../dist/tokenizer/bos.js';
import { loadTokenizer } from '../../dist/tokenizer/load.js';

const [, , subject, device] = process.argv;
const REFERENCE = JSON.parse(readFileSync(path.join(import.meta.dirname, 'smollm2-135m.json'), 'utf8'));
const LENGTHS = [1, 10, 100];
const REPEATS = 5;

const isGguf = subject.endsWith('.gguf');
const folder = isGguf ? path.dirname(subject) : subject;
const base = {
  name: subject,
  has: (name) => existsSync(path.join(folder, name)),
  open: (name) => openFileSource(path.join(folder, name)),
};
const files = isGguf ? withGguf(base, [path.basename(subject)]) : base;

const { backend } = await selectBackend({ device, arithmetic: 'float32' });
const checkpoint = await openCheckpoint(files);
const model = await loadTransformer(backend, checkpoint);

let worst = 0;
for (const { token_ids, top_ids, top_logits, mean_logit } of REFERENCE) {
  const values = await logitsOf(token_ids);
  const width = values.length / token_ids.length;
  token_ids.forEach((_, position) => {
    const row = values.subarray(position * width, (position + 1) * width);
    top_ids[position].forEach((id, i) => note(row[id] - top_logits[position][i]));
    note(row.reduce((sum, value) => sum + value, 0) / width - mean_logit[position]);
  });
}

const ms = [];
for (const length of LENGTHS) {
  const tokens = Array.from({ length }, (_, i) => 1000 + 7 * i);
  const times = [];
  for (let i = 0; i <= REPEATS; i++) {
    const start = performance.now();
    await logitsOf(tokens);
    times.push(performance.now() - start);
  }
  ms.push(Math.min(...times.slice(1)));
}
const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);
process.stdout.write(JSON.stringify({ worst, ms, peakMiB, sameTokens: await sameTokens() }));

function note(difference) {
  worst = Math.max(worst, Number.isNaN(difference) ? Infinity : Math.abs(difference));
}

async function logitsOf(tokens) {
  const { logits } = await model.forward(tokens);
  const values = await logits.data();
  logits.dispose();
  return values;
}

/** Whether the tokenizer of the file gives the tokens of the reference; null for a folder, which has none. */
async function sameTokens() {
  if (!isGguf) return null;
  const made = (name) => ({ name, madeFrom: undefined, open: () => files.open(name) });
  const tokenizer = await loadTokenizer({
    tokenizerJson: made('tokenizer.json'),
    tokenizerConfig: made('tokenizer_config.json'),
  });
  const prompts = new PromptReader(tokenizer, USUAL_PROMPT);
  return REFERENCE.every(
    ({ prompt, token_ids }) => prompts.attributionTokens({ prompt }).join() === token_ids.join(),
  );
}
