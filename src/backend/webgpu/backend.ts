/** Backend, WebGPU: TF.js' kernels over a device of Dawn for Node, by Vulkan, Metal or Direct3D 12. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '../backend.ts';
import { weightsOf } from '../weight.ts';
import { BufferPool } from './buffer-pool.ts';
import { adapterName, openAdapter, openDevice } from './device.ts';
import { webgpuEngine } from './engine.ts';
import { DeviceFaults } from './faults.ts';
import { loadKernels, type Kernels } from './kernels.ts';

const BACKEND_NAME = 'webgpu';

interface Opened {
  readonly kernels: Kernels;
  readonly version: string;
}

/** Once a process: tensors of one device cannot be used with another. */
let opened: Promise<Opened> | undefined;

/** Opens WebGPU. Its arithmetic is float32. Throws `NotFoundError` where a package or an adapter is missing. */
export async function openWebgpu(): Promise<Backend> {
  const { kernels, version } = await (opened ??= register());
  await tf.setBackend(BACKEND_NAME);
  return {
    name: BACKEND_NAME,
    device: 'webgpu',
    version,
    arithmetic: 'float32',
    kernel: null,
    ...weightsOf(webgpuEngine(kernels)),
  };
}

async function register(): Promise<Opened> {
  const { adapter, dawn } = await openAdapter();
  const device = await openDevice(adapter, dawn);
  const faults = new DeviceFaults(device.device, adapterName(device.info));
  const { kernels, version } = loadKernels(device, new BufferPool(device.device), faults);
  tf.registerBackend(BACKEND_NAME, () => kernels);
  return { kernels, version: `TF.js webgpu ${version}` };
}
