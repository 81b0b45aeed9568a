/** What `tracer setup` says where something is missing, and that it leaves nothing half done. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ExhaustedError, NetworkError, NotFoundError } from '../../src/errors.ts';
import { findCudaDriver } from '../../src/backend/cuda.ts';
import { addBindingPackage } from '../../src/backend/install/binding-package.ts';
import { setUpTensorflow, type SetupOptions } from '../../src/backend/install.ts';
import { runCommand } from '../../src/backend/install/command.ts';
import {
  ADDON_FILE,
  BINDING_PACKAGE_FOLDER,
  GATE_FILE,
  isSetUp,
  tensorflowFolder,
} from '../../src/backend/install/folder.ts';
import { wheelsFor } from '../../src/backend/install/pinned.ts';
import { hasHeaders, productsFile } from '../../src/backend/install/products.ts';
import { fetchWheels } from '../../src/backend/install/wheels.ts';
import { probeDevice } from '../../src/backend/probing.ts';
import { IS_FULL } from '../support/golden.ts';
import { environment, scratchFolder } from '../support/scratch.ts';

const isServed = process.platform === 'linux' && process.arch === 'x64';
const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;
const hasDriver = findCudaDriver() !== undefined;

/** A test that some machines cannot run, which then say why. */
function itIf(possible: boolean, reason: string, name: string, work: () => Promise<void>): void {
  if (possible) it(name, work);
  else it.skip(`${name} (skipped: ${reason})`, work);
}

/** The error of a setup that cannot succeed; fails when it leaves files behind. */
async function refusedSetup(options: SetupOptions & { dataDir: string }): Promise<unknown> {
  const error = await setUpTensorflow(options).then(
    () => new Error('the setup succeeded'),
    (reason: unknown) => reason,
  );
  expect(readdirSync(join(options.dataDir, 'tensorflow'))).toEqual([]);
  return error;
}

(isServed ? describe : describe.skip)('setting TensorFlow up', () => {
  it('names Python where there is none', async () => {
    using scratch = scratchFolder();
    using empty = scratchFolder();
    using _path = environment({ PATH: empty.path });
    const error = await refusedSetup({ dataDir: scratch.path });
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: 'python_missing', exitCode: 3 });
  });

  it('names pip where Python is there without it', async () => {
    using scratch = scratchFolder();
    using programs = scratchFolder();
    const python = join(programs.path, 'python3');
    writeFileSync(python, '#!/bin/sh\necho "No module named pip" >&2\nexit 1\n');
    chmodSync(python, 0o755);
    using _path = environment({ PATH: programs.path });
    expect(await refusedSetup({ dataDir: scratch.path })).toMatchObject({ code: 'pip_missing', exitCode: 3 });
  });

  itIf(hasPip, 'no pip here', 'names the compiler where there is none', async () => {
    using scratch = scratchFolder();
    using _compiler = environment({ CXX: join(scratch.path, 'no-compiler') });
    const error = await refusedSetup({ dataDir: scratch.path });
    expect(error).toMatchObject({ code: 'compiler_missing', exitCode: 3 });
  });

  itIf(hasPip, 'no pip here', 'says so where the npm registry cannot be reached', async () => {
    using scratch = scratchFolder();
    using _registry = environment({
      CXX: process.execPath, // only asked for its version: nothing is compiled
      npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_fetch_retries: '0',
      npm_config_cache: join(scratch.path, 'cache'),
    });
    const error = await refusedSetup({ dataDir: join(scratch.path, 'data') });
    expect(error).toBeInstanceOf(NetworkError);
    expect(error).toMatchObject({ code: 'network', exitCode: 69 });
    expect((error as Error).message).toMatch(/npm could not fetch @tensorflow\/tfjs-node-gpu 4.22.0: .*127/);
  });

  itIf(hasPip, 'no pip here', 'says so where the package index cannot be reached', async () => {
    using scratch = scratchFolder();
    using _index = environment({
      PIP_CONFIG_FILE: '/dev/null',
      PIP_FIND_LINKS: undefined,
      PIP_INDEX_URL: 'http://127.0.0.1:9/simple',
      PIP_EXTRA_INDEX_URL: undefined,
      PIP_RETRIES: '0',
    });
    const fetched = fetchWheels('python3', 'linux-x64', wheelsFor('linux-x64', 'cpu'), scratch.path);
    const error = await fetched.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(NetworkError);
    expect(error).toMatchObject({ code: 'network', exitCode: 69 });
  });

  itIf(!hasDriver, 'a driver is here', 'fetches nothing for CUDA where there is no driver', async () => {
    using scratch = scratchFolder();
    const phases: string[] = [];
    const setup = setUpTensorflow({
      device: 'cuda',
      dataDir: scratch.path,
      onPhase: ({ phase }) => phases.push(phase),
    });
    await expect(setup).rejects.toMatchObject({ code: 'no_cuda_driver', exitCode: 3 });
    expect(phases).toEqual([]);
  });

  itIf(!hasDriver, 'a driver is here', 'needs no driver for an image that runs elsewhere', async () => {
    using scratch = scratchFolder();
    using empty = scratchFolder();
    using _path = environment({ PATH: empty.path });
    const options = { device: 'cuda', withoutDriver: true, dataDir: scratch.path } as const;
    expect(await refusedSetup(options)).toMatchObject({ code: 'python_missing' });
  });

  it('names a data folder that cannot be made', async () => {
    using scratch = scratchFolder();
    const file = join(scratch.path, 'file');
    writeFileSync(file, '');
    const setup = setUpTensorflow({ dataDir: join(file, 'data') });
    await expect(setup).rejects.toBeInstanceOf(ExhaustedError);
  });

  it('stops when it is told to, before it has begun', async () => {
    using scratch = scratchFolder();
    const signal = AbortSignal.abort(new Error('interrupted'));
    expect(await refusedSetup({ dataDir: scratch.path, signal })).toEqual(new Error('interrupted'));
  });

  itIf(
    isSetUp(tensorflowFolder('cpu')),
    'TensorFlow is not set up',
    'only checks what is there already',
    async () => {
      const phases: string[] = [];
      const report = await setUpTensorflow({ onPhase: ({ phase }) => phases.push(phase) });
      expect(report).toMatchObject({ device: 'cpu', alreadySetUp: true, version: 'TensorFlow 2.21.0' });
      expect(phases).toEqual(['verify']);
    },
  );
});

/** What an older version set up: TensorFlow without the addon for products on stored weights. */
function withoutProducts(dataDir: string, parts = [BINDING_PACKAGE_FOLDER]): string {
  const whole = tensorflowFolder('cpu');
  const folder = tensorflowFolder('cpu', dataDir);
  mkdirSync(folder, { recursive: true });
  for (const name of ['tensorflow', ADDON_FILE, GATE_FILE, ...parts])
    symlinkSync(join(whole, name), join(folder, name));
  return folder;
}

const isComplete = isSetUp(tensorflowFolder('cpu')) && hasHeaders(tensorflowFolder('cpu'));

describe('the addon for products on stored weights', () => {
  itIf(isComplete, 'TensorFlow is not set up', 'may fail to build: TensorFlow works without', async () => {
    using scratch = scratchFolder();
    const folder = withoutProducts(scratch.path);
    const compiler = join(scratch.path, 'compiler');
    writeFileSync(compiler, '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "no such header" >&2\nexit 1\n');
    chmodSync(compiler, 0o755);
    using _compiler = environment({ CXX: compiler });
    const report = await setUpTensorflow({ dataDir: scratch.path });
    expect(report).toMatchObject({ version: 'TensorFlow 2.21.0', kernel: null });
    expect(report.kernelFailure).toMatch(/could not build products-.*\n.*no such header/s);
    expect(readdirSync(folder).filter((name) => name.startsWith('products-'))).toEqual([]);
    expect(await probeDevice('cpu', { folder })).toMatchObject({ ok: true, kernel: null });
  });

  // It takes a compiler a quarter of a minute, as does each setup.
  const isBuilt = isComplete && IS_FULL;
  const reason = isComplete ? '`npm run test:full` builds it' : 'TensorFlow is not set up';
  itIf(isBuilt, reason, 'is added to what another version set up', async () => {
    using scratch = scratchFolder();
    const folder = withoutProducts(scratch.path);
    const report = await setUpTensorflow({ dataDir: scratch.path });
    expect(report).toMatchObject({ version: 'TensorFlow 2.21.0', alreadySetUp: false });
    expect(['plain', 'avx2', 'avx512', 'amx']).toContain(report.kernel);
    expect(report.kernelFailure).toBeUndefined();
    expect(existsSync(productsFile(folder))).toBe(true);
    expect(await setUpTensorflow({ dataDir: scratch.path })).toMatchObject({ alreadySetUp: true });
  });
});

describe("the package of TensorFlow's binding", () => {
  itIf(isComplete, 'TensorFlow is not set up', 'is added to what an older version set up', async () => {
    using scratch = scratchFolder();
    const folder = withoutProducts(scratch.path, []);
    using _registry = environment({
      npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_fetch_retries: '0',
      npm_config_cache: join(scratch.path, 'cache'),
    });
    const before = readdirSync(folder);
    await expect(setUpTensorflow({ dataDir: scratch.path })).rejects.toMatchObject({ code: 'network' });
    expect(readdirSync(folder)).toEqual(before);

    const installed = join(tensorflowFolder('cpu'), BINDING_PACKAGE_FOLDER);
    await addBindingPackage('python3', folder, { installed });
    expect(await probeDevice('cpu', { folder })).toMatchObject({ ok: true, version: 'TensorFlow 2.21.0' });
  });
});

describe('a device that is tried in a process of its own', () => {
  it('is told of as working with its version', async () => {
    expect(await probeDevice('wasm')).toMatchObject({
      ok: true,
      version: expect.stringMatching(/^TF\.js/),
    });
  });

  it('is told of as not working, with the reason and what helps', async () => {
    using scratch = scratchFolder();
    const result = await probeDevice('cpu', { folder: scratch.path });
    expect(result).toMatchObject({ ok: false, reason: expect.stringContaining('not set up') });
  });
});

(process.platform === 'win32' ? describe.skip : describe)('a program of the system', () => {
  it('is told of as undefined where it does not exist', async () => {
    expect(await runCommand('tracer-no-such-program', [])).toBeUndefined();
  });

  it('gives what it printed and how it ended', async () => {
    const finished = await runCommand('sh', ['-c', 'cat; echo oops >&2; exit 3'], { input: 'hello' });
    expect(finished).toEqual({ exitCode: 3, endedBy: null, stdout: 'hello', stderr: 'oops\n' });
  });

  it('ends with everything it has started when it is aborted', async () => {
    const abort = new AbortController();
    const startMs = Date.now();
    setTimeout(() => abort.abort(new Error('interrupted')), 100);
    const command = runCommand('sh', ['-c', 'sleep 30 & wait'], { signal: abort.signal });
    await expect(command).rejects.toThrow('interrupted');
    expect(Date.now() - startMs).toBeLessThan(10_000);
  });
});
