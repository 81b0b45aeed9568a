/** Backend: how many bytes parameters, and what is computed from them, may keep in memory; all beyond is read or computed for each use. */
import os from 'node:os';

/**
 * Share of the memory available at start that may be filled by default. On a machine with 24 GiB it keeps a process with the whole of
 * Gemma-2-2B and 26 transcoders (9.2 GB as stored), or of Llama-3.2-1B and 16 of 131,072 features (11 GB), below 8 GiB, and leaves room
 * for edges, gradients and other programs. What is beyond it is read again for each use, from the page cache where it is mapped.
 */
const DEFAULT_SHARE = 1 / 4;

export class MemoryBudget {
  readonly totalBytes: number;
  private taken = 0;

  constructor(totalBytes: number = Math.floor(availableMemoryBytes() * DEFAULT_SHARE)) {
    this.totalBytes = totalBytes;
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

/** Memory that this process may still use: the smaller of what the system and what its control group has left. */
export function availableMemoryBytes(): number {
  const constrained = process.constrainedMemory();
  // 0 or a huge number means: no limit.
  const limit = constrained > 0 && constrained < os.totalmem() ? constrained : os.totalmem();
  return Math.min(limit, process.availableMemory?.() ?? os.freemem());
}
