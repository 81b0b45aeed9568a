/** Backend, WebGPU: TF.js' kernels over a device of Dawn for Node, by Vulkan, Metal or Direct3D 12. */
import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '../backend.ts';
import { genericSparse } from '../sparse.ts';
import { weightsOf } from '../weight.ts';
import { BufferPool } from './buffer-pool.ts';
import { adapterName, openAdapter, openDevice, type OpenedDevice } from './device.ts';
import { DeviceFinder } from './entries.ts';
import { webgpuEngine } from './engine.ts';
import { findRoom, type Room } from './room.ts';
import { DeviceSum } from './matrix-sum.ts';
import { requireGraphicsCard, requireHardware, requireRoom } from './worth.ts';
import { DeviceFaults } from './faults.ts';
import { loadKernels, type Kernels } from './kernels.ts';

const BACKEND_NAME = 'webgpu';

interface Opened {
  readonly device: OpenedDevice;
  readonly kernels: Kernels;
  readonly version: string;
  /** Found when it was opened; undefined where nothing was asked for. */
  readonly room: Room | undefined;
}

/** Once a process: tensors of one device cannot be used with another. */
let opened: Promise<Opened> | undefined;

/**
 * Opens WebGPU. Its arithmetic is float32. Throws `NotFoundError` where a package or an adapter is missing; with `mustBeFast` also
 * where the adapter computes on the processor, and `ExhaustedError` where it has no room for that many bytes of weights.
 */
export async function openWebgpu(mustBeFast?: { readonly weightBytes: number }): Promise<Backend> {
  opened ??= register(mustBeFast);
  const { device, kernels, version, room } = await opened.catch((error: unknown) => {
    opened = undefined; // another choice of device may be satisfied with less
    throw error;
  });
  await tf.setBackend(BACKEND_NAME);
  return {
    name: BACKEND_NAME,
    device: 'webgpu',
    hasOwnMemory: true,
    // Where a driver computes on the processor, allocations would take the machine's memory.
    freeDeviceBytes: async (wanted) =>
      device.info.isFallbackAdapter
        ? undefined
        : (room && wanted <= room.wanted ? room : await findRoom(device.device, wanted)).bytes,
    version,
    arithmetic: 'float32',
    kernel: null,
    sparse: genericSparse,
    ...weightsOf(webgpuEngine(kernels)),
    entryFinder: (rule) => new DeviceFinder(kernels, rule),
    matrixSum: (rows, columns) => new DeviceSum(kernels, [rows, columns]),
  };
}

async function register(mustBeFast?: { readonly weightBytes: number }): Promise<Opened> {
  if (mustBeFast) requireGraphicsCard();
  const { adapter, dawn } = await openAdapter();
  if (mustBeFast) requireHardware(adapter.info);
  const opened = await openDevice(adapter, dawn);
  const room = mustBeFast && (await requireRoom(opened, mustBeFast.weightBytes));
  const faults = new DeviceFaults(opened.device, adapterName(opened.info));
  const { kernels, version } = loadKernels(opened, new BufferPool(opened.device), faults);
  tf.registerBackend(BACKEND_NAME, () => kernels);
  return { device: opened, kernels, version: `TF.js webgpu ${version}`, room };
}
