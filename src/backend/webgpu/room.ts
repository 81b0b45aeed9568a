/** Backend, WebGPU: how much memory a device has. WebGPU does not tell, so it is allocated and freed again. */
import { largestPartBytes } from './storage.ts';

export interface Room {
  readonly wanted: number;
  /** Allocated, at most about as many as wanted. */
  readonly bytes: number;
  /** Why there was no more, as the driver says it. */
  readonly reason?: string;
}

export async function findRoom(device: GPUDevice, wanted: number): Promise<Room> {
  const buffers: GPUBuffer[] = [];
  let bytes = 0;
  try {
    while (bytes < wanted) {
      const size = Math.min(largestPartBytes(device), Math.ceil((wanted - bytes) / WORD_BYTES) * WORD_BYTES);
      device.pushErrorScope('validation');
      device.pushErrorScope('out-of-memory');
      buffers.push(device.createBuffer({ size, usage: STORAGE_USAGE }));
      const exhausted = await device.popErrorScope();
      const refused = await device.popErrorScope();
      const error = exhausted ?? refused;
      if (error) return { wanted, bytes, reason: error.message };
      bytes += size;
    }
    return { wanted, bytes };
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

const WORD_BYTES = 4;

/** `GPUBufferUsage.STORAGE`, by its value: the constants are global only in browsers. */
const STORAGE_USAGE = 0x80;
