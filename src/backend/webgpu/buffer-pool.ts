/**
 * Backend, WebGPU: buffers of the device. Takes the place of TF.js' own pool, which keeps every buffer of every size that was ever
 * needed: prompts of many lengths would fill the device.
 */
import { ExhaustedError } from '../../errors.ts';

/** Bytes of buffers out of use that wait to be used again. Above it, those of the size that was not needed for longest are freed. */
const DEFAULT_FREE_BYTES = 256 * 1024 * 1024;

export class BufferPool {
  private readonly device: GPUDevice;
  private readonly mostFreeBytes: number;
  /** By size and usage; the size that was used last is the last key. */
  private readonly free = new Map<string, GPUBuffer[]>();
  private readonly used = new Set<GPUBuffer>();
  private freeBytes = 0;
  private usedBytes = 0;

  constructor(device: GPUDevice, mostFreeBytes: number = DEFAULT_FREE_BYTES) {
    this.device = device;
    this.mostFreeBytes = mostFreeBytes;
  }

  /** Buffers that tensors, weights and commands use now. */
  get nUsed(): number {
    return this.used.size;
  }

  // The names that TF.js asks for.
  get numBytesUsed(): number {
    return this.usedBytes;
  }

  get numBytesAllocated(): number {
    return this.usedBytes + this.freeBytes;
  }

  /**
   * Throws `ExhaustedError` for a buffer that is larger than any that shaders can use, and where the device has no memory for one that is
   * to be mapped at once. That there is none for another comes out beside the calls (`faults.ts`).
   */
  acquireBuffer(size: number, usage: number, mappedAtCreation = false, reuse = true): GPUBuffer {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (size > most) throw noMemory(size, `: its largest buffer has ${most} bytes`);
    const buffer = (reuse && this.takeFree(size, usage)) || this.create(size, usage, mappedAtCreation);
    this.used.add(buffer);
    this.usedBytes += size;
    return buffer;
  }

  releaseBuffer(buffer: GPUBuffer, reuse = true): void {
    if (!this.used.delete(buffer)) throw new Error('a buffer that is not in use was given back');
    const { size, usage } = buffer;
    this.usedBytes -= size;
    if (!reuse || size > this.mostFreeBytes) {
      buffer.destroy();
      return;
    }
    const key = keyOf(size, usage);
    const same = this.free.get(key) ?? [];
    same.push(buffer);
    this.free.delete(key);
    this.free.set(key, same);
    this.freeBytes += size;
    this.trim();
  }

  dispose(): void {
    for (const buffers of this.free.values()) for (const buffer of buffers) buffer.destroy();
    for (const buffer of this.used) buffer.destroy();
    this.free.clear();
    this.used.clear();
    this.freeBytes = 0;
    this.usedBytes = 0;
  }

  private takeFree(size: number, usage: number): GPUBuffer | undefined {
    const key = keyOf(size, usage);
    const buffers = this.free.get(key);
    const buffer = buffers?.pop();
    if (buffer === undefined) return undefined;
    this.freeBytes -= size;
    if (buffers!.length === 0) this.free.delete(key);
    return buffer;
  }

  private create(size: number, usage: number, mappedAtCreation: boolean): GPUBuffer {
    try {
      return this.device.createBuffer({ size, usage, mappedAtCreation });
    } catch (cause) {
      throw noMemory(size, '', cause);
    }
  }

  private trim(): void {
    for (const [key, buffers] of this.free) {
      while (this.freeBytes > this.mostFreeBytes && buffers.length > 0) {
        const buffer = buffers.pop()!;
        this.freeBytes -= buffer.size;
        buffer.destroy();
      }
      if (this.freeBytes <= this.mostFreeBytes) return;
      this.free.delete(key);
    }
  }
}

function noMemory(size: number, because: string, cause?: unknown): ExhaustedError {
  return new ExhaustedError({
    code: 'device_memory',
    message: `the WebGPU device has no memory for a buffer of ${size} bytes${because}`,
    hint: 'Use a shorter prompt, a smaller --max-device-memory or --batch-size, or --device cpu.',
    cause,
  });
}

function keyOf(size: number, usage: number): string {
  return `${size}_${usage}`;
}
