/**
 * `npm test [-- jest arguments]`: builds, sets native TensorFlow up and installs Chromium where they are missing, runs jest,
 * and closes with the line `N passed, N failed`. Without Python, compiler or network it warns and does without native TensorFlow;
 * without Chromium the tests of the page fail, and those of WebGPU are skipped unless VK_DRIVER_FILES names a driver.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installChromium, WITHOUT_CHROMIUM } from './support/chromium.mjs';
import { swiftshaderEnvironment } from './support/swiftshader.mjs';

const ROOT = join(import.meta.dirname, '..');
const NOTHING_RAN = { passed: 0, failed: 1, skipped: 0 };

const totals = build() ? await setUpAndTest() : NOTHING_RAN;
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
process.exitCode = totals.failed > 0 ? 1 : 0;
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);

function build() {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const vite = join(ROOT, 'node_modules/vite/bin/vite.js');
  return (
    run([tsc, '-p', join(ROOT, 'tsconfig.json')]) === 0 && run([vite, 'build', '--logLevel', 'warn']) === 0
  );
}

async function setUpAndTest() {
  const { setUpTensorflow } = await import('../dist/backend/install.js');
  try {
    let last = '';
    await setUpTensorflow({
      onPhase: ({ message }) => {
        if (message !== last) console.error(`TensorFlow: ${message}`);
        last = message;
      },
    });
  } catch (error) {
    console.error(
      `Warning: no native TensorFlow, so it is not tested. ${error.message}\n${error.hint ?? ''}`,
    );
  }
  if (!installChromium()) console.error(`Warning: ${WITHOUT_CHROMIUM}`);
  return jest(process.argv.slice(2));
}

function jest(args) {
  const folder = mkdtempSync(join(tmpdir(), 'tracer-test-'));
  const results = join(folder, 'results.json');
  try {
    const env = {
      ...swiftshaderEnvironment(),
      NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --no-warnings`.trim(),
    };
    const status = run(
      [join(ROOT, 'node_modules/jest/bin/jest.js'), '--json', `--outputFile=${results}`, ...args],
      env,
    );
    return count(JSON.parse(readFileSync(results, 'utf8')), status);
  } catch (error) {
    console.error(`jest left no results: ${error.message}`);
    return NOTHING_RAN;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A suite that does not even load counts as one failure, and so does a jest that fails for another reason. */
function count(results, status) {
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  return {
    passed: results.numPassedTests,
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

/** Runs a Node program in the project's folder, its output shown; gives its exit code. */
function run(args, env = {}) {
  const { status } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  return status;
}
