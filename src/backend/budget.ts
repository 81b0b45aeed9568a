/** Backend: how many bytes of parameters may stay in memory; what does not fit is read again on every use. */
import os from 'node:os';

/**
 * Share of the memory available at start that parameters may fill by default. A third keeps the whole Gemma-2-2B with
 * 26 transcoders (9.2 GB as stored) below 9 GiB of process memory on a machine with 24 GiB, and leaves room for edges,
 * gradients and other programs.
 */
const DEFAULT_SHARE = 1 / 3;

export class MemoryBudget {
  readonly totalBytes: number;
  private usedBytes = 0;

  constructor(totalBytes: number = Math.floor(availableMemoryBytes() * DEFAULT_SHARE)) {
    this.totalBytes = totalBytes;
  }

  /** Reserves memory if there is enough left. */
  take(bytes: number): boolean {
    if (this.usedBytes + bytes > this.totalBytes) return false;
    this.usedBytes += bytes;
    return true;
  }
}

/** Memory that this process may still use: the smaller of what the system and what its control group has left. */
export function availableMemoryBytes(): number {
  const constrained = process.constrainedMemory();
  // 0 or a huge number means: no limit.
  const limit = constrained > 0 && constrained < os.totalmem() ? constrained : os.totalmem();
  return Math.min(limit, process.availableMemory?.() ?? os.freemem());
}
