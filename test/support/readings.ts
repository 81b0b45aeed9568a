/** Readings of a WebGPU device, which answers one only when all before it is done. */
import type { Kernels } from '../../src/backend/webgpu/kernels.ts';

/** Bytes of each reading of values that are on the device and not in this process. */
export async function readings(kernels: Kernels, work: () => Promise<unknown>): Promise<number[]> {
  const read = kernels.read.bind(kernels);
  const bytes: number[] = [];
  kernels.read = (dataId) => {
    const { resource, values } = kernels.tensorMap.get(dataId);
    if (!values && resource) bytes.push(resource.size);
    return read(dataId);
  };
  try {
    await work();
  } finally {
    kernels.read = read;
  }
  return bytes;
}
