/** Backend, WebGPU: what `--device auto` asks before it prefers WebGPU to the processor. */
import { existsSync, readdirSync } from 'node:fs';
import { ExhaustedError, NotFoundError } from '../../errors.ts';
import { adapterName, type OpenedDevice } from './device.ts';
import { firstLine } from './faults.ts';
import { ROOM_FOR_WEIGHTS } from '../budget.ts';
import { findRoom, type Room } from './room.ts';

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
 * Throws `ExhaustedError`, and gives the device up, unless it has room for that many bytes of weights. The room that it tells is that
 * for what is made of them too, so that it is looked for once.
 */
export async function requireRoom({ device, info }: OpenedDevice, bytes: number): Promise<Room> {
  const found = await findRoom(device, bytes * ROOM_FOR_WEIGHTS);
  if (found.bytes >= bytes) return found;
  device.destroy();
  const room = `${found.bytes} of ${bytes} bytes of weights`;
  throw new ExhaustedError({
    code: 'device_memory',
    message: `${adapterName(info)} has room for ${room} (${firstLine(found.reason ?? '')})`,
    hint: `${HINT} With a smaller --max-device-memory the rest is sent there for each use.`,
  });
}
