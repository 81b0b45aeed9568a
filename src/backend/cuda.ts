/** What this machine has of CUDA, found without loading anything: the driver decides whether CUDA is worth trying. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CudaDriver {
  /** Of the kernel module, such as `550.54.15`; undefined where it does not say (WSL). */
  readonly version: string | undefined;
  /** Path of `libcuda.so.1`; undefined when only the kernel module is there (a container without the driver's files). */
  readonly library: string | undefined;
}

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
  const named = (process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== '');
  const library = [...named, ...DRIVER_FOLDERS]
    .map((folder) => join(folder, 'libcuda.so.1'))
    .find((path) => existsSync(path));
  const version = kernelModuleVersion();
  return library === undefined && version === undefined ? undefined : { version, library };
}

function kernelModuleVersion(): string | undefined {
  const path = '/proc/driver/nvidia/version';
  if (!existsSync(path)) return undefined;
  return /Kernel Module.*?\s(\d+\.\d[\d.]*)\s/.exec(readFileSync(path, 'utf8'))?.[1];
}
