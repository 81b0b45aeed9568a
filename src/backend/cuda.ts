/** What this machine has of CUDA, found without loading anything: the driver decides whether CUDA is worth trying. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NotFoundError } from '../errors.ts';

export interface CudaDriver {
  /** Of the kernel module, such as `550.54.15`; undefined where it does not say (WSL). */
  readonly version: string | undefined;
  /** Path of `libcuda.so.1`; undefined when only the kernel module is there (a container without the driver's files). */
  readonly library: string | undefined;
}

/** Libraries of CUDA 12 that TensorFlow loads when it finds a device. */
const CUDA_LIBRARIES = [
  'libcudart.so.12',
  'libcublas.so.12',
  'libcublasLt.so.12',
  'libcudnn.so.9',
  'libcufft.so.11',
  'libcusolver.so.11',
  'libcusparse.so.12',
];

/** Where Linux distributions, containers and WSL put the driver's library. */
const DRIVER_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/lib/wsl/lib',
  '/usr/local/nvidia/lib64',
  '/usr/local/cuda/compat',
];

/** The NVIDIA driver, or undefined when there is no trace of one. */
export function findCudaDriver(): CudaDriver | undefined {
  const library = findIn([...namedFolders(), ...DRIVER_FOLDERS], 'libcuda.so.1');
  const version = kernelModuleVersion();
  return library === undefined && version === undefined ? undefined : { version, library };
}

/** Throws `NotFoundError` where no driver is: nothing of CUDA can work then. */
export function requireCudaDriver(): CudaDriver {
  const driver = findCudaDriver();
  if (driver !== undefined) return driver;
  throw new NotFoundError({
    code: 'no_cuda_driver',
    message: 'no NVIDIA driver is installed (libcuda.so.1 was not found)',
    hint: 'Install the driver of the graphics card, or use --device cpu.',
  });
}

/** The CUDA libraries beside TensorFlow in `tensorflowFolder`, or where the system has them. */
export function findCudaLibraries(tensorflowFolder: string): { found: string[]; missing: string[] } {
  const nvidia = join(tensorflowFolder, 'nvidia');
  const packaged = existsSync(nvidia) ? readdirSync(nvidia).map((name) => join(nvidia, name, 'lib')) : [];
  const folders = [...packaged, ...namedFolders(), '/usr/local/cuda/lib64', ...DRIVER_FOLDERS];
  const paths = CUDA_LIBRARIES.map((name) => findIn(folders, name));
  return {
    found: paths.filter((path) => path !== undefined),
    missing: CUDA_LIBRARIES.filter((_, i) => paths[i] === undefined),
  };
}

function namedFolders(): string[] {
  return (process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== '');
}

function findIn(folders: readonly string[], name: string): string | undefined {
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

function kernelModuleVersion(): string | undefined {
  const path = '/proc/driver/nvidia/version';
  if (!existsSync(path)) return undefined;
  return /Kernel Module.*?\s(\d+\.\d[\d.]*)\s/.exec(readFileSync(path, 'utf8'))?.[1];
}
