/** Backend, WebGPU: what `--device auto` asks before it prefers WebGPU to the processor. */
import { existsSync, readdirSync } from 'node:fs';
import { ExhaustedError, NotFoundError } from '../../errors.ts';
import { adapterName, type OpenedDevice } from './device.ts';
import { firstLine } from './faults.ts';
import { largestPartBytes } from './storage.ts';

const HINT = '--device webgpu takes it nevertheless.';

/** Where Linux has graphics cards: the direct rendering manager, NVIDIA's driver in containers, Windows' in WSL. */
const [RENDER_FOLDER, NVIDIA_DEVICE, WSL_DEVICE] = ['/dev/dri', '/dev/nvidia0', '/dev/dxg'];

/** Throws `NotFoundError` where Linux has no graphics card, without loading anything: most servers have none. */
export function requireGraphicsCard(): void {
  if (process.platform !== 'linux' || existsSync(NVIDIA_DEVICE) || existsSync(WSL_DEVICE)) return;
  const nodes = existsSync(RENDER_FOLDER) ? readdirSync(RENDER_FOLDER) : [];
  if (nodes.some((name) => name.startsWith('renderD'))) return;
  throw new NotFoundError({
    code: 'no_graphics_card',
    message: `no graphics card was found (${RENDER_FOLDER}/renderD*, ${NVIDIA_DEVICE}, ${WSL_DEVICE})`,
    hint: '--device webgpu asks the drivers nevertheless.',
  });
}

/** Throws `NotFoundError` for a driver that computes on the processor (SwiftShader, llvmpipe, WARP): slower than --device cpu. */
export function requireHardware(info: GPUAdapterInfo): void {
  if (!info.isFallbackAdapter) return;
  throw new NotFoundError({
    code: 'software_adapter',
    message: `the only adapter, ${adapterName(info)}, computes on the processor`,
    hint: HINT,
  });
}

/**
 * Throws `ExhaustedError` unless the device has room for that many bytes. WebGPU does not tell how much memory there is, so it is
 * allocated and freed again.
 */
export async function requireRoom({ device, info }: OpenedDevice, bytes: number): Promise<void> {
  const buffers: GPUBuffer[] = [];
  try {
    for (let found = 0; found < bytes; found += buffers.at(-1)!.size) {
      const size = Math.min(largestPartBytes(device), Math.ceil((bytes - found) / 4) * 4);
      device.pushErrorScope('validation');
      device.pushErrorScope('out-of-memory');
      buffers.push(device.createBuffer({ size, usage: GPU_STORAGE }));
      const error = (await device.popErrorScope()) ?? (await device.popErrorScope());
      if (error) throw withoutRoom(adapterName(info), bytes, found, error);
    }
  } catch (error) {
    device.destroy();
    throw error;
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

/** `GPUBufferUsage.STORAGE`, by its value: the constants are global only in browsers. */
const GPU_STORAGE = 0x80;

function withoutRoom(name: string, bytes: number, found: number, { message }: GPUError): ExhaustedError {
  return new ExhaustedError({
    code: 'device_memory',
    message: `${name} has room for ${found} of ${bytes} bytes of weights (${firstLine(message)})`,
    hint: `${HINT} A smaller --max-memory reads the rest from the files for each use.`,
  });
}
