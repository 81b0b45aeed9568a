/** Backend: how many bytes parameters, and what is computed from them, may keep in memory; all beyond is read or computed for each use. */
import os from 'node:os';
import type { Backend } from './backend.ts';

/**
 * Share of the memory available at start that may be filled by default. On a machine with 24 GiB it keeps a process with the whole of
 * Gemma-2-2B and 26 transcoders (9.2 GB as stored), or of Llama-3.2-1B and 16 of 131,072 features (11 GB), below 8 GiB, and leaves room
 * for edges, gradients and other programs. What is beyond it is read again for each use, from the page cache where it is mapped.
 */
const DEFAULT_SHARE = 1 / 4;

export class MemoryBudget {
  readonly totalBytes: number;
  /** Of the machine's memory, where this one is of a graphics card's. */
  readonly host: MemoryBudget | undefined;
  private taken = 0;

  constructor(totalBytes: number = Math.floor(availableMemoryBytes() * DEFAULT_SHARE), host?: MemoryBudget) {
    this.totalBytes = totalBytes;
    this.host = host;
  }

  /** Bytes that are reserved now. */
  get usedBytes(): number {
    return this.taken;
  }

  /** Reserves memory if there is enough left. What is kept for less than the budget's own life is given back. */
  take(bytes: number): boolean {
    if (this.taken + bytes > this.totalBytes) return false;
    this.taken += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    if (bytes > this.taken) throw new Error(`${bytes} bytes given back, but only ${this.taken} are taken`);
    this.taken -= bytes;
  }
}

/** Of the free memory of a graphics card: the rest is for what is computed, and for other programs. */
const DEVICE_SHARE = 3 / 4;

/** Room that is asked for beside the weights: for what is computed from them and kept. */
export const ROOM_FOR_WEIGHTS = 2;

export interface MemoryLimits {
  /** Of the machine; default a share of what is free. */
  readonly maxMemoryBytes?: number | undefined;
  /** Of a device with memory of its own; default a share of what is free, and where that cannot be told, as of the machine. */
  readonly maxDeviceMemoryBytes?: number | undefined;
}

/** The budget of what a backend holds, for that many bytes of weights. */
export async function budgetFor(
  backend: Pick<Backend, 'hasOwnMemory' | 'freeDeviceBytes'>,
  { maxMemoryBytes, maxDeviceMemoryBytes }: MemoryLimits,
  weightBytes: number,
): Promise<MemoryBudget> {
  const host = new MemoryBudget(maxMemoryBytes);
  if (!backend.hasOwnMemory) return host;
  if (maxDeviceMemoryBytes !== undefined) return new MemoryBudget(maxDeviceMemoryBytes, host);
  const free = await backend.freeDeviceBytes(weightBytes * ROOM_FOR_WEIGHTS);
  return new MemoryBudget(free === undefined ? host.totalBytes : Math.floor(free * DEVICE_SHARE), host);
}

/** Memory that this process may still use: the smaller of what the system and what its control group has left. */
export function availableMemoryBytes(): number {
  const constrained = process.constrainedMemory();
  // 0 or a huge number means: no limit.
  const limit = constrained > 0 && constrained < os.totalmem() ? constrained : os.totalmem();
  return Math.min(limit, process.availableMemory?.() ?? os.freemem());
}
