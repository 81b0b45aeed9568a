/**
 * `npm run test:package`: what a user gets. Packs, installs the package into an empty folder as `npm install --global` does, links
 * TensorFlow in an empty data folder, runs the main job on it, and uninstalls. Takes one to three minutes and 300 MB of network.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { missingModules } from './modules.mjs';

const ROOT = join(import.meta.dirname, '..', '..');
/** What the embedded model says after this text. */
const PROMPT = 'Hello, world!';
const ANSWER = ' How';

const scratch = mkdtempSync(join(tmpdir(), 'tracer-package-'));
const prefix = join(scratch, 'prefix');
const work = join(scratch, 'work');
const data = join(scratch, 'data');
const installed = join(prefix, 'lib', 'node_modules', 'tracer');
const command = join(prefix, 'bin', 'tracer');
for (const folder of [prefix, work, data]) mkdirSync(folder);

try {
  const archive = step('pack', () => {
    npm(ROOT, 'pack', '--loglevel=error', `--pack-destination=${scratch}`);
    return join(
      scratch,
      readdirSync(scratch).find((name) => name.endsWith('.tgz')),
    );
  });
  step('install', () => npm(work, 'install', '--global', `--prefix=${prefix}`, '--loglevel=error', archive));
  step('modules', () => assert.deepEqual(missingModules(installed), []));
  step('setup', () => {
    const result = tracer('setup', '--device', 'cpu', '--json');
    assert.equal(result.linked, true);
    assert.equal(dirname(dirname(result.folder)), data);
  });
  step('run', () => {
    const result = tracer('run', PROMPT, '--json');
    assert.deepEqual([result.device, result.backend], ['cpu', 'tensorflow']);
    assert.equal(result.top[0].text, ANSWER);
  });
  console.log(
    `package ${megabytes(archive)}, installed ${megabytes(prefix)}, TensorFlow in the data folder ${megabytes(data)}`,
  );
  step('uninstall', () => {
    npm(work, 'uninstall', '--global', `--prefix=${prefix}`, '--loglevel=error', 'tracer');
    assert.deepEqual([existsSync(installed), existsSync(command)], [false, false]);
  });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function step(name, work) {
  const startMs = performance.now();
  const result = work();
  console.log(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  return result;
}

function npm(cwd, ...args) {
  return start('npm', args, cwd);
}

/** Runs the installed program and gives `data` of its answer. */
function tracer(...args) {
  return JSON.parse(start(command, args, work)).data;
}

function start(program, args, cwd) {
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('TRACER_'));
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    env: { ...Object.fromEntries(environment), TRACER_DATA_DIR: data },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  assert.equal(
    status,
    0,
    `${program} ${args.join(' ')} failed: ${error?.message ?? ''}\n${stdout}\n${stderr}`,
  );
  return stdout;
}

function megabytes(path) {
  return `${Math.round(bytesOf(path) / 1e6)} MB`;
}

function bytesOf(path) {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((total, entry) => total + statSync(join(entry.parentPath, entry.name)).size, 0);
}
