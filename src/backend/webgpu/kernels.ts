/** Backend, WebGPU: the part of TF.js' WebGPU backend that is used here, and how it is loaded outside a browser. */
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import type { BufferPool } from './buffer-pool.ts';
import type { OpenedDevice } from './device.ts';
import type { DeviceFaults } from './faults.ts';
import { KERNELS_PACKAGE, packageFailure } from './packages.ts';

/** A value of a program's uniform buffer. */
export interface Uniform {
  readonly type: 'int32' | 'uint32';
  readonly data: number[];
}

/** A compute shader with what TF.js adds to it: bindings, shapes as uniforms, `localId` and its kin, `main` as entry point. */
export interface Program {
  readonly variableNames: string[];
  /** Declarations of its own uniforms. */
  readonly uniforms: string;
  readonly outputShape: number[];
  readonly dispatchLayout: { readonly x: number[]; readonly y: number[]; readonly z: number[] };
  readonly dispatch: [number, number, number];
  readonly workgroupSize: [number, number, number];
  /** Programs with an equal key (and equal ranks and types of operands) share a compiled shader. */
  readonly shaderKey: string;
  getUserCode(): string;
}

export type TensorInfo = tf.TensorInfo;

/** What TF.js keeps of a tensor's data. */
interface TensorData {
  readonly resource: GPUBuffer | null;
  /** Where they are in this process too. */
  readonly values: unknown;
}

/** `WebGPUBackend` of the package: its kernels over a device. */
export interface Kernels extends tf.KernelBackend {
  readonly device: GPUDevice;
  bufferManager: BufferPool;
  readonly tensorMap: { get(dataId: tf.DataId): TensorData };
  read(dataId: tf.DataId): Promise<tf.backend_util.BackendValues>;
  makeTensorInfo(
    shape: readonly number[],
    dtype: tf.DataType,
    values?: Int32Array | Float32Array,
  ): TensorInfo;
  /** Gives a tensor without values a buffer from the pool. */
  uploadToGPU(dataId: tf.DataId): void;
  /** The buffer returns to the pool when the commands that use it were submitted. */
  disposeData(dataId: tf.DataId, force?: boolean): boolean;
  runWebGPUProgram(
    program: Program,
    inputs: readonly TensorInfo[],
    outputDtype: tf.DataType,
    uniforms: readonly Uniform[],
    output: TensorInfo,
  ): TensorInfo;
}

type KernelsClass = new (device: GPUDevice, info: GPUAdapterInfo) => Kernels;

interface WebgpuPackage {
  readonly WebGPUBackend: KernelsClass;
}

/** Globals of a browser that the package uses. */
const GLOBALS = ['GPUBuffer', 'GPUBufferUsage', 'GPUMapMode', 'GPUTexture'] as const;

/** TF.js' version, and its kernels over the device. Throws `NotFoundError` where the package is not installed. */
export function loadKernels(
  { device, info, globals }: OpenedDevice,
  pool: BufferPool,
  faults: DeviceFaults,
): { readonly kernels: Kernels; readonly version: string } {
  for (const name of GLOBALS) Object.assign(globalThis, { [name]: globals[name] });
  const { WebGPUBackend, version } = loadPackage();
  class CheckedKernels extends WebGPUBackend {
    /** Values of a tensor, unless the device failed meanwhile: they would be zeros, or what the buffer held before. */
    override async read(dataId: tf.DataId): Promise<tf.backend_util.BackendValues> {
      try {
        const values = await super.read(dataId);
        faults.check();
        return values;
      } catch (error) {
        faults.check();
        throw error;
      }
    }
  }
  const kernels = withNavigator(() => new CheckedKernels(device, info));
  kernels.bufferManager = pool;
  return { kernels, version };
}

function loadPackage(): WebgpuPackage & { readonly version: string } {
  const require = createRequire(import.meta.url);
  try {
    const { WebGPUBackend } = require(KERNELS_PACKAGE) as WebgpuPackage;
    const { version } = require(`${KERNELS_PACKAGE}/package.json`) as { version: string };
    return { WebGPUBackend, version };
  } catch (cause) {
    throw packageFailure(KERNELS_PACKAGE, cause);
  }
}

/** The backend's constructor wants `navigator.gpu` to exist, and does not use it. Left there, it would keep the process alive. */
function withNavigator<T>(make: () => T): T {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: true }, configurable: true });
  try {
    return make();
  } finally {
    if (before) Object.defineProperty(globalThis, 'navigator', before);
    else Reflect.deleteProperty(globalThis, 'navigator');
  }
}
