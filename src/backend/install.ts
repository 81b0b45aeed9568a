/** `tracer setup`: a current TensorFlow library, linked to TF.js, in the user's data folder. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TracerError, EXIT } from '../errors.ts';
import { acquireLock } from '../formats/lock.ts';
import { requireCudaDriver } from './cuda.ts';
import { buildBinding, findCompiler } from './install/addon.ts';
import { addBindingPackage } from './install/binding-package.ts';
import { checkDisk, makeDataFolder } from './install/data-folder.ts';
import {
  hasAddons,
  hasBindingPackage,
  isSetUp,
  tensorflowFolder,
  TENSORFLOW_VERSION,
} from './install/folder.ts';
import type { NativeDevice } from './install/folder.ts';
import { targetOf, thisHost, type Target } from './install/platform.ts';
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
  /** For CUDA: no driver need be here, and the library is checked on the processor (an image for other machines). */
  readonly withoutDriver?: boolean;
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

/**
 * Sets native TensorFlow up, or checks the one that is there with one product. Can be repeated after an interruption;
 * of two runs at once one waits for the other.
 * @throws NotFoundError platform, driver, Python, pip, npm, compiler or package missing; NetworkError; ExhaustedError; BadFileError
 */
export async function setUpTensorflow(options: SetupOptions = {}): Promise<SetupReport> {
  const startMs = performance.now();
  const { device = 'cpu', signal } = options;
  const target = targetOf(thisHost(), device);
  const { withoutDriver = false } = options;
  if (device === 'cuda' && !withoutDriver) requireCudaDriver(); // before gigabytes are fetched that could not be used
  const folder = tensorflowFolder(device, options.dataDir);
  const checkedOn = withoutDriver ? 'cpu' : device;
  const job: Job = { device, checkedOn, target, folder, tell: options.onPhase ?? (() => undefined), signal };

  // Not built yet, of an older version, or broken: then it is built.
  const there = hasProducts(job) ? await verified(job) : undefined;
  const result = there ?? (await buildAlone(job));
  return { device, folder, ...result, seconds: (performance.now() - startMs) / 1000 };
}

/** What is set up, where, and who is told. */
interface Job {
  readonly device: NativeDevice;
  /** Where the product check is computed. */
  readonly checkedOn: NativeDevice;
  readonly target: Target;
  readonly folder: string;
  readonly tell: (progress: SetupProgress) => void;
  readonly signal: AbortSignal | undefined;
}

type Outcome = Omit<SetupReport, 'device' | 'folder' | 'seconds'>;

/** Waits until no other process builds, and builds unless that one has done it. */
async function buildAlone(job: Job): Promise<Outcome> {
  const { folder, signal, tell } = job;
  await makeDataFolder(dirname(folder));
  await using _lock = await acquireLock(`${folder}.lock`, {
    signal,
    onWait: () => tell({ phase: 'wait', message: 'another setup is at work; waiting for it' }),
  });
  // An older version loaded the package's files from node_modules.
  if (hasAddons(folder) && !hasBindingPackage(folder)) await addPackage(job, await findPython(signal));
  const there = await verified(job);
  if (there && hasProducts(job)) return there;
  if (there && hasHeaders(folder)) return await completed(job);
  try {
    return await buildInPlace(job);
  } catch (error) {
    // What an older version set up goes on to serve.
    if (there && error instanceof TracerError) return { ...there, kernelFailure: error.message };
    throw error;
  }
}

/** What another version set up, with the addon of this one. */
async function completed(job: Job): Promise<Outcome> {
  const kernelFailure = await addProducts(job);
  const found = await verified(job);
  if (!found) throw unusable(`what lies in ${job.folder} stopped working`);
  return { ...found, alreadySetUp: false, ...(kernelFailure !== undefined && { kernelFailure }) };
}

/** Undefined when nothing is there, or when what is there does not work and has to be built again. */
async function verified({ checkedOn, folder, tell, signal }: Job): Promise<Outcome | undefined> {
  if (!isSetUp(folder)) return undefined;
  tell({ phase: 'verify', message: `checking ${folder} with one product` });
  const probe = await probeDevice(checkedOn, { folder, signal });
  return probe.ok ? { version: probe.version, kernel: probe.kernel, alreadySetUp: true } : undefined;
}

/** Products on a CUDA device are TensorFlow's own. */
function hasProducts({ device, folder }: Job): boolean {
  return device === 'cuda' || existsSync(productsFile(folder));
}

/**
 * Builds the addon for products on stored weights and tries it. Where that fails it is not there afterwards, and the reason is
 * returned: TensorFlow's own products serve.
 */
async function addProducts(job: Job): Promise<string | undefined> {
  const { checkedOn, target, folder, tell, signal } = job;
  if (hasProducts(job)) return undefined;
  tell({ phase: 'build', message: 'building products on stored weights' });
  try {
    await buildProducts(await findCompiler(signal), target, folder, signal);
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    return error.message;
  }
  const probe = await probeDevice(checkedOn, { folder, signal });
  if (probe.ok) return undefined;
  await rm(productsFile(folder));
  return probe.reason;
}

/** Builds in a folder of its own, which is renamed once one product was computed and found right. */
async function buildInPlace(job: Job): Promise<Outcome> {
  const { checkedOn, folder, tell, signal } = job;
  await removeRemains(folder);
  const buildFolder = `${folder}.partial-${process.pid}`;
  try {
    const kernelFailure = await build({ ...job, folder: buildFolder });
    tell({ phase: 'verify', message: 'multiplying once and comparing with the exact result' });
    const probe = await probeDevice(checkedOn, { folder: buildFolder, signal });
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
async function build(job: Job): Promise<string | undefined> {
  const { device, target, folder, tell, signal } = job;
  tell({ phase: 'check', message: 'looking for Python, a C++ compiler and free disk' });
  const python = await findPython(signal);
  const compiler = await findCompiler(signal);
  const wheels = wheelsFor(target, device);
  const totalBytes = sum(wheels.map((wheel) => wheel.bytes));
  await checkDisk(dirname(folder), totalBytes + sum(wheels.map((wheel) => wheel.unpackedBytes)));

  await mkdir(folder);
  await addPackage(job, python);

  const message = `fetching TensorFlow ${TENSORFLOW_VERSION} with pip`;
  tell({ phase: 'download', message, bytes: 0, totalBytes });
  const downloads = join(folder, 'wheels');
  const fetched = await fetchWheels(python, target, wheels, downloads, {
    signal,
    onBytes: (bytes) => tell({ phase: 'download', message, bytes: Math.min(bytes, totalBytes), totalBytes }),
  });

  tell({ phase: 'unpack', message: 'unpacking the library' });
  await unpackWheels(python, fetched, folder, signal);
  await rm(downloads, { recursive: true });

  tell({ phase: 'build', message: `building the binding with ${compiler}` });
  await buildBinding(compiler, target, folder, signal);
  return await addProducts(job);
}

async function addPackage({ folder, tell, signal }: Job, python: string): Promise<void> {
  await addBindingPackage(python, folder, {
    signal,
    onFetch: () =>
      tell({ phase: 'download', message: "fetching the sources of TensorFlow's binding with npm" }),
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
