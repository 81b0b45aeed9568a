/** Opens the backend for a requested device: candidates are tried in order, and the reason of each refusal is kept. */
import { NotFoundError, TracerError, UsageError, unreachable } from '../errors.ts';
import type { Arithmetic, Backend, CudaCard, Device, DeviceChoice, DeviceKind } from './backend.ts';
import { listCudaCards, showCard, shownCard } from './cuda-cards.ts';
import { requireCudaDriver } from './cuda.ts';
import { hasAddons, isSetUp, tensorflowFolder, type NativeDevice } from './install/folder.ts';
import { bfloat16Instructions } from './processor.ts';
import type { OpenOptions as TensorflowOptions } from './tensorflow/backend.ts';

export interface SelectOptions {
  readonly device: DeviceChoice;
  readonly arithmetic: Arithmetic;
  /** Where native TensorFlow was set up; left out: the user's data folder. */
  readonly dataDir?: string | undefined;
  /** Bytes of weights that will be held; `auto` takes a graphics card only if it has room for them. */
  readonly weightBytes?: number | undefined;
  /** All tensors are so small that handing them to other threads takes longer than computing them. */
  readonly isSmall?: boolean;
}

export interface Refusal {
  readonly device: Device;
  readonly reason: string;
  /** What would make it work, where something would. */
  readonly hint: string | undefined;
}

export interface Selection {
  readonly backend: Backend;
  /** Better devices that `auto` could not take; empty when a device was named. */
  readonly refused: readonly Refusal[];
}

/** The devices in the order in which `auto` tries them: the fastest first. */
export const AUTO_ORDER: readonly Device[] = ['cuda', 'webgpu', 'cpu', 'wasm'];

/**
 * Opens the backend for a choice of device.
 * @throws NotFoundError the named device is not available; UsageError the arithmetic is not, on any device of the choice
 */
export async function selectBackend(options: SelectOptions): Promise<Selection> {
  const { device, arithmetic, dataDir, weightBytes = 0, isSmall = false } = options;
  if (device !== 'auto')
    return { backend: await openDevice(device, arithmetic, { dataDir, isSmall }), refused: [] };
  const refused: Refusal[] = [];
  let nativeFolder: string | undefined;
  for (const candidate of AUTO_ORDER) {
    try {
      const where = { dataDir, nativeFolder, isSmall, mustBeFast: { weightBytes } };
      return { backend: await openDevice(candidate, arithmetic, where), refused };
    } catch (error) {
      if (!(error instanceof TracerError)) throw error;
      // The library for CUDA is loaded by now, and a process can load only one; without a device it serves the processor.
      if (error.code === 'no_cuda_device') nativeFolder = tensorflowFolder('cuda', dataDir);
      refused.push({ device: candidate, reason: error.message, hint: error.hint });
    }
  }
  const reasons = refused.map(({ device: name, reason }) => `${name}: ${reason}`).join('; ');
  const details = { message: `no device can be used with ${arithmetic} arithmetic (${reasons})` };
  if (arithmetic === 'float32') throw new NotFoundError({ code: 'no_device', ...details });
  throw new UsageError({ code: 'dtype_unsupported', ...details, hint: 'Leave --dtype at float32.' });
}

export interface OpenOptions {
  /** Where native TensorFlow was set up; left out: the user's data folder. */
  readonly dataDir?: string | undefined;
  /** A TensorFlow that does not lie at its place in `dataDir`. */
  readonly nativeFolder?: string | undefined;
  /** As in `SelectOptions`. */
  readonly isSmall?: boolean;
  /** WebGPU only on a graphics card with room for the weights, for which it is faster than the processor. */
  readonly mustBeFast?: { readonly weightBytes: number };
}

/** Opens one device, or throws why it cannot be used and what to do about it. */
export async function openDevice(
  device: Device,
  arithmetic: Arithmetic,
  options: OpenOptions = {},
): Promise<Backend> {
  const { dataDir, nativeFolder, isSmall = false, mustBeFast } = options;
  const folderOf = (library: NativeDevice): string => nativeFolder ?? tensorflowFolder(library, dataDir);
  const [kind, card] = device.split(':') as [DeviceKind, string | undefined];
  switch (kind) {
    case 'cuda': {
      requireCudaDriver();
      requireSetUp(kind, folderOf(kind));
      const cards = await listCudaCards();
      showCard(Number(card ?? 0), cards);
      const freeBytes = cards && shownCard(cards)?.free_bytes;
      return openNative({
        libraryFolder: folderOf(kind),
        device: device as 'cuda' | CudaCard,
        arithmetic,
        isSmall,
        freeBytes,
      });
    }
    case 'cpu':
      if (arithmetic === 'bfloat16') checkBfloat16();
      requireSetUp(kind, folderOf(kind));
      return openNative({ libraryFolder: folderOf(kind), device: kind, arithmetic, isSmall });
    case 'webgpu': {
      if (arithmetic === 'bfloat16') throw float32Only(kind);
      const { openWebgpu } = await import('./webgpu/backend.ts');
      return openWebgpu(mustBeFast);
    }
    case 'wasm': {
      if (arithmetic === 'bfloat16') throw float32Only(kind);
      const { openWasm } = await import('./wasm/backend.ts');
      return openWasm();
    }
    default:
      return unreachable(kind);
  }
}

function float32Only(device: DeviceKind): UsageError {
  return new UsageError({
    code: 'dtype_unsupported',
    message: `${device} multiplies in float32 only, so --dtype bfloat16 cannot be used with it`,
    hint: 'Leave --dtype at float32, which is exact for bfloat16 checkpoints.',
  });
}

function requireSetUp(library: NativeDevice, folder: string): void {
  if (isSetUp(folder)) return;
  const command = `tracer setup --device ${library}`;
  const found = hasAddons(folder) ? 'is of an older version of tracer' : 'is not there';
  throw new NotFoundError({
    code: 'tensorflow_missing',
    message: `TensorFlow for ${library} is not set up (${folder} ${found})`,
    hint: `Run '${command}', or use --device wasm.`,
  });
}

async function openNative(options: TensorflowOptions): Promise<Backend> {
  try {
    const { openTensorflow } = await import('./tensorflow/backend.ts');
    return await openTensorflow(options);
  } catch (cause) {
    if (cause instanceof TracerError) throw cause;
    throw new NotFoundError({
      code: 'tensorflow_unusable',
      message: `TensorFlow in ${options.libraryFolder} does not load: ${(cause as Error).message}`,
      hint: `Run 'tracer doctor' to see what is missing, or use --device wasm.`,
      cause,
    });
  }
}

/** Without these instructions a bfloat16 product is emulated, up to a hundred times slower than a float32 one. */
function checkBfloat16(): void {
  if (bfloat16Instructions().length > 0) return;
  throw new UsageError({
    code: 'dtype_unsupported',
    message:
      'this processor has no bfloat16 instructions, so --dtype bfloat16 would be far slower than float32',
    hint: 'Leave --dtype at float32, which is exact for bfloat16 checkpoints.',
  });
}
