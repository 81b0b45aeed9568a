/** Parameters that are matrices, on any engine: when they are read, how long they are held, and to whom they are lent. */
import * as tf from '@tensorflow/tfjs-core';
import type {
  Backend,
  HeldWeight,
  MatrixSource,
  Tensor2D,
  Weight,
  WeightSource,
  WeightType,
} from './backend.ts';
import type { Engine, Lifetime, Storage } from './engine.ts';
import { checkRows, WeightLoan, logicalShape, type Lender } from './loan.ts';
import { storedBytes } from './weight-source.ts';

/** The part of a backend that is the same for every engine. */
export function weightsOf<S extends Storage>(
  engine: Engine<S>,
): Pick<Backend, 'loadWeight' | 'lazyWeight' | 'streamWeight'> {
  return {
    async loadWeight(source) {
      const weight = new StoredWeight(engine, source, 'kept');
      await weight.read();
      return weight;
    },
    lazyWeight: (source) => new StoredWeight(engine, source, 'kept'),
    streamWeight: (source) => new StoredWeight(engine, source, 'streamed'),
  };
}

/**
 * A weight that is read when it is first lent. A kept one stays in memory until it is disposed; a streamed one until the last
 * of its loans is given back. Disposing the weight ends its loans.
 */
class StoredWeight<S extends Storage> implements Weight, Lender<S> {
  readonly name: string;
  readonly shape: readonly [number, number];
  readonly dtype: WeightType;
  readonly storedBytes: number;
  readonly engine: Engine<S>;
  readonly source: WeightSource;
  private readonly lifetime: Lifetime;
  private held: S | undefined;
  /** While it is being read: one reading, however many wait for it. */
  private reading: Promise<void> | undefined;
  /** Loans that are out or on their way. */
  private nLoans = 0;
  private isDisposed = false;

  constructor(engine: Engine<S>, source: WeightSource, lifetime: Lifetime) {
    this.engine = engine;
    this.source = source;
    this.lifetime = lifetime;
    this.name = source.name;
    this.dtype = source.dtype;
    this.shape = logicalShape(source);
    this.storedBytes = storedBytes(source);
  }

  get heldBytes(): number {
    return this.held?.heldBytes ?? 0;
  }

  get isMultipliedAsStored(): boolean {
    return this.engine.multipliesAsStored;
  }

  async acquire(): Promise<HeldWeight> {
    this.nLoans += 1;
    try {
      await this.read();
      return new WeightLoan(this);
    } catch (error) {
      this.giveBack();
      throw error;
    }
  }

  async rows(indices: Int32Array): Promise<Tensor2D> {
    this.checkUsable();
    checkRows(indices, this.source);
    // The rows of a matrix that is stored transposed are spread over all of it.
    if (!this.held && !this.source.transposed) return await this.rowsFromFile(indices);
    using loan = await this.acquire();
    return loan.rows(indices);
  }

  /** Reads the weight unless it is held. After a failure the next call tries again. */
  async read(): Promise<void> {
    this.checkUsable();
    if (this.held) return;
    this.reading ??= this.readOnce().finally(() => (this.reading = undefined));
    await this.reading;
  }

  storage(): S {
    this.checkUsable();
    if (!this.held) throw new Error(`${this.name} is not in memory`);
    return this.held;
  }

  giveBack(): void {
    this.nLoans -= 1;
    if (this.nLoans === 0 && this.lifetime === 'streamed') this.free();
  }

  [Symbol.dispose](): void {
    this.isDisposed = true;
    this.free();
  }

  private async readOnce(): Promise<void> {
    const storage = await this.engine.store(this.source, this.lifetime);
    if (this.isDisposed) {
      storage[Symbol.dispose]();
      this.checkUsable();
    }
    this.held = storage;
  }

  private async rowsFromFile(indices: Int32Array): Promise<Tensor2D> {
    const [, columns] = this.shape;
    if (indices.length === 0 || columns === 0) return tf.zeros([indices.length, columns]);
    const bytes = await this.source.readRows(indices);
    const picked = inMemory(this.source, [indices.length, columns], bytes);
    using storage = await this.engine.store(picked, 'streamed');
    return this.engine.gather(storage, Int32Array.from(indices.keys()), 'rows');
  }

  private free(): void {
    this.held?.[Symbol.dispose]();
    this.held = undefined;
  }

  private checkUsable(): void {
    if (this.isDisposed) throw new Error(`${this.name} was used after it was disposed`);
  }
}

function inMemory(
  { name, dtype }: WeightSource,
  shape: readonly [number, number],
  bytes: Uint8Array,
): MatrixSource {
  const rowBytes = bytes.byteLength / shape[0];
  return {
    name,
    shape,
    dtype,
    bytes,
    readInto(target, { start, stop }) {
      target.set(bytes.subarray(start * rowBytes, stop * rowBytes));
      return Promise.resolve();
    },
  };
}
