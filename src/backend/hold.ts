/** Backend: where a weight is kept: in memory of the engine's tensors, in the machine's beside a graphics card, or in its file alone. */
import type { RowRange } from '../formats/tensor-file.ts';
import type { Backend, Weight, WeightSource } from './backend.ts';
import type { MemoryBudget } from './budget.ts';
import { HostMemory, type HostMatrix } from './host-memory.ts';
import { storedBytes } from './weight-source.ts';

/**
 * A weight that is kept if the budget has room for it (`preload`: read now, else when it is first used). Others are sent to the engine
 * for each use: from the machine's memory where only a graphics card's has no room, else from the file.
 */
export async function holdWeight(
  backend: Backend,
  budget: MemoryBudget,
  source: WeightSource,
  preload: boolean,
): Promise<Weight> {
  const bytes = storedBytes(source);
  if (budget.take(bytes)) return preload ? await backend.loadWeight(source) : backend.lazyWeight(source);
  return backend.streamWeight(budget.host?.take(bytes) ? new HostCopy(source) : source);
}

/** A source that reads its file once and then has all bytes in memory of this process. */
class HostCopy implements WeightSource {
  readonly name: string;
  readonly shape: readonly [number, number];
  readonly dtype: WeightSource['dtype'];
  readonly transposed: boolean;
  private readonly source: WeightSource;
  private readonly memory = new HostMemory((byteLength) => Buffer.allocUnsafeSlow(byteLength));
  private copy: HostMatrix | undefined;
  private reading: Promise<HostMatrix> | undefined;

  constructor(source: WeightSource) {
    this.source = source;
    this.name = source.name;
    this.shape = source.shape;
    this.dtype = source.dtype;
    this.transposed = source.transposed ?? false;
  }

  /** Undefined before the first reading. */
  get bytes(): Uint8Array | undefined {
    return this.copy?.bytes;
  }

  async readInto(target: Uint8Array, rows: RowRange): Promise<void> {
    target.set((await this.read()).rowRange(rows));
  }

  async readRows(indices: ArrayLike<number>): Promise<Uint8Array> {
    if (!this.copy) return await this.source.readRows(indices);
    const rows = Array.from(indices, (row) => this.copy!.rowRange({ start: row, stop: row + 1 }));
    return Buffer.concat(rows);
  }

  /** One reading, however many wait for it; after a failure the next one tries again. */
  private async read(): Promise<HostMatrix> {
    if (this.copy) return this.copy;
    this.reading ??= this.memory.read(this.source, 'kept').finally(() => (this.reading = undefined));
    return (this.copy = await this.reading);
  }
}
