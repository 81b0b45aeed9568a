/** `tracer setup`: a current TensorFlow library, linked to TF.js, in the user's data folder. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ExhaustedError, NotFoundError, TracerError, EXIT } from '../errors.ts';
import { acquireLock } from '../formats/lock.ts';
import { requireCudaDriver } from './cuda.ts';
import { bindingPackage, buildBinding, findCompiler } from './install/addon.ts';
import { glibcVersion, isSetUp, tensorflowFolder, TENSORFLOW_VERSION } from './install/folder.ts';
import type { NativeDevice } from './install/folder.ts';
import { buildProducts, hasHeaders, productsFile } from './install/products.ts';
import { unpackWheels } from './install/unpack.ts';
import { fetchWheels, findPython } from './install/wheels.ts';
import { wheelsFor } from './install/pinned.ts';
import { probeDevice } from './probing.ts';

export type SetupPhase = 'check' | 'wait' | 'download' | 'unpack' | 'build' | 'verify';

export interface SetupProgress {
  readonly phase: SetupPhase;
  /** One line for people. */
  readonly message: string;
  /** During `download`: bytes there and bytes wanted. */
  readonly bytes?: number;
  readonly totalBytes?: number;
}

export interface SetupOptions {
  readonly device?: NativeDevice;
  /** Instead of the user's data folder. */
  readonly dataDir?: string;
  readonly signal?: AbortSignal;
  readonly onPhase?: (progress: SetupProgress) => void;
}

export interface SetupReport {
  readonly device: NativeDevice;
  readonly folder: string;
  /** True when everything was there and only the product was checked. */
  readonly alreadySetUp: boolean;
  /** `TensorFlow 2.21.0`. */
  readonly version: string;
  /** Instructions of products on stored weights, as `Backend.kernel`; null where TensorFlow's own serve. */
  readonly kernel: string | null;
  /** Why the addon for such products could not be built; TensorFlow works without it. */
  readonly kernelFailure?: string;
  readonly seconds: number;
}

/** Files are written before the wheels are removed, and some space has to stay free on the disk. */
const SPARE_BYTES = 200_000_000;

/**
 * Sets native TensorFlow up, or checks the one that is there with one product. Can be repeated after an interruption;
 * of two runs at once one waits for the other.
 * @throws NotFoundError platform, driver, Python, pip, compiler or package missing; NetworkError; ExhaustedError; BadFileError
 */
export async function setUpTensorflow(options: SetupOptions = {}): Promise<SetupReport> {
  const startMs = performance.now();
  const { device = 'cpu', signal } = options;
  const tell = options.onPhase ?? (() => undefined);
  checkPlatform();
  if (device === 'cuda') requireCudaDriver(); // before gigabytes are fetched that could not be used
  bindingPackage();
  const folder = tensorflowFolder(device, options.dataDir);

  // Not built yet, of an older version, or broken: then it is built.
  const there = hasProducts(device, folder) ? await verified(device, folder, tell, signal) : undefined;
  const result = there ?? (await buildAlone(device, folder, tell, signal));
  return { device, folder, ...result, seconds: (performance.now() - startMs) / 1000 };
}

type Outcome = Omit<SetupReport, 'device' | 'folder' | 'seconds'>;

/** Waits until no other process builds, and builds unless that one has done it. */
async function buildAlone(
  device: NativeDevice,
  folder: string,
  tell: Tell,
  signal?: AbortSignal,
): Promise<Outcome> {
  await makeFolder(dirname(folder));
  await using _lock = await acquireLock(`${folder}.lock`, {
    signal,
    onWait: () => tell({ phase: 'wait', message: 'another setup is at work; waiting for it' }),
  });
  const there = await verified(device, folder, tell, signal);
  if (there && hasProducts(device, folder)) return there;
  if (there && hasHeaders(folder)) return await completed(device, folder, tell, signal);
  try {
    return await buildInPlace(device, folder, tell, signal);
  } catch (error) {
    // What an older version set up goes on to serve.
    if (there && error instanceof TracerError) return { ...there, kernelFailure: error.message };
    throw error;
  }
}

/** What another version set up, with the addon of this one. */
async function completed(
  device: NativeDevice,
  folder: string,
  tell: Tell,
  signal?: AbortSignal,
): Promise<Outcome> {
  const kernelFailure = await addProducts(device, folder, tell, signal);
  const found = await verified(device, folder, tell, signal);
  if (!found) throw unusable(`what lies in ${folder} stopped working`);
  return { ...found, alreadySetUp: false, ...(kernelFailure !== undefined && { kernelFailure }) };
}

/** Undefined when nothing is there, or when what is there does not work and has to be built again. */
async function verified(
  device: NativeDevice,
  folder: string,
  tell: Tell,
  signal?: AbortSignal,
): Promise<Outcome | undefined> {
  if (!isSetUp(folder)) return undefined;
  tell({ phase: 'verify', message: `checking ${folder} with one product` });
  const probe = await probeDevice(device, { folder, signal });
  return probe.ok ? { version: probe.version, kernel: probe.kernel, alreadySetUp: true } : undefined;
}

/** Products on a CUDA device are TensorFlow's own. */
function hasProducts(device: NativeDevice, folder: string): boolean {
  return device === 'cuda' || existsSync(productsFile(folder));
}

/**
 * Builds the addon for products on stored weights and tries it. Where that fails it is not there afterwards, and the reason is
 * returned: TensorFlow's own products serve.
 */
async function addProducts(
  device: NativeDevice,
  folder: string,
  tell: Tell,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (hasProducts(device, folder)) return undefined;
  tell({ phase: 'build', message: 'building products on stored weights' });
  try {
    await buildProducts(await findCompiler(signal), folder, signal);
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    return error.message;
  }
  const probe = await probeDevice(device, { folder, signal });
  if (probe.ok) return undefined;
  await rm(productsFile(folder));
  return probe.reason;
}

/** Builds in a folder of its own, which is renamed once one product was computed and found right. */
async function buildInPlace(
  device: NativeDevice,
  folder: string,
  tell: Tell,
  signal?: AbortSignal,
): Promise<Outcome> {
  await removeRemains(folder);
  const buildFolder = `${folder}.partial-${process.pid}`;
  try {
    const kernelFailure = await build(device, buildFolder, tell, signal);
    tell({ phase: 'verify', message: 'multiplying once and comparing with the exact result' });
    const probe = await probeDevice(device, { folder: buildFolder, signal });
    if (!probe.ok) {
      throw unusable(probe.reason);
    }
    await rm(folder, { recursive: true, force: true }); // a broken one, kept until its replacement was ready
    await rename(buildFolder, folder);
    const { version, kernel } = probe;
    return {
      version,
      kernel,
      alreadySetUp: false,
      ...(kernelFailure !== undefined && { kernelFailure }),
    };
  } finally {
    await rm(buildFolder, { recursive: true, force: true });
  }
}

function unusable(reason: string): TracerError {
  return new TracerError(EXIT.unexpected, {
    code: 'tensorflow_check',
    message: `TensorFlow ${TENSORFLOW_VERSION} is linked but does not work here: ${reason}`,
    hint: 'tracer uses wasm.',
  });
}

/** Resolves to the reason why the addon for products on stored weights could not be built, where it could not. */
async function build(
  device: NativeDevice,
  buildFolder: string,
  tell: Tell,
  signal?: AbortSignal,
): Promise<string | undefined> {
  tell({ phase: 'check', message: 'looking for Python, a C++ compiler and free disk' });
  const python = await findPython(signal);
  const compiler = await findCompiler(signal);
  const wheels = wheelsFor(device);
  const totalBytes = sum(wheels.map((wheel) => wheel.bytes));
  await checkDisk(dirname(buildFolder), totalBytes + sum(wheels.map((wheel) => wheel.unpackedBytes)));

  const message = `fetching TensorFlow ${TENSORFLOW_VERSION} with pip`;
  tell({ phase: 'download', message, bytes: 0, totalBytes });
  const downloads = join(buildFolder, 'wheels');
  const fetched = await fetchWheels(python, wheels, downloads, {
    signal,
    onBytes: (bytes) => tell({ phase: 'download', message, bytes: Math.min(bytes, totalBytes), totalBytes }),
  });

  tell({ phase: 'unpack', message: 'unpacking the library' });
  await unpackWheels(python, fetched, buildFolder, signal);
  await rm(downloads, { recursive: true });

  tell({ phase: 'build', message: `building the binding with ${compiler}` });
  await buildBinding(compiler, buildFolder, signal);
  return await addProducts(device, buildFolder, tell, signal);
}

type Tell = (progress: SetupProgress) => void;

/** The wheels hold libraries for Linux on x86-64 with glibc, and for nothing else. */
function checkPlatform() {
  const { platform, arch } = process;
  const hasGlibc = glibcVersion() !== undefined;
  if (platform === 'linux' && arch === 'x64' && hasGlibc) return;
  const here = `${platform} ${arch}${platform === 'linux' && !hasGlibc ? ' without glibc' : ''}`;
  throw new NotFoundError({
    code: 'platform_unsupported',
    message: `native TensorFlow can be set up on Linux x64 with glibc only; this is ${here}`,
    hint: 'tracer uses wasm here, which needs no setup.',
  });
}

async function makeFolder(path: string) {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw new ExhaustedError({
      code: 'data_folder',
      message: `the data folder ${path} cannot be made: ${(cause as Error).message}`,
      hint: 'Set TRACER_DATA_DIR to a folder that can be written.',
      cause,
    });
  }
}

async function checkDisk(folder: string, neededBytes: number) {
  const { bavail, bsize } = await statfs(folder);
  const wantedBytes = neededBytes + SPARE_BYTES;
  if (bavail * bsize >= wantedBytes) return;
  throw new ExhaustedError({
    code: 'disk_full',
    message: `setting TensorFlow up takes ${gigabytes(wantedBytes)} of disk; ${folder} has ${gigabytes(bavail * bsize)} free`,
    hint: 'Free some disk, or set TRACER_DATA_DIR to a folder on another disk.',
  });
}

/** Deletes build folders of runs that were killed. The lock is held, so no running process uses them. */
async function removeRemains(folder: string) {
  const isRemains = (name: string) => name.startsWith(`${basename(folder)}.partial-`);
  const remains = (await readdir(dirname(folder))).filter(isRemains);
  for (const name of remains) await rm(join(dirname(folder), name), { recursive: true, force: true });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
