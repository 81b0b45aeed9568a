/** Backend: a value that can be computed again, so that it is kept in memory only where the budget has room for it. */
import type { MemoryBudget } from './budget.ts';

/** A value in use. Dispose it after use; a second time is harmless. */
export interface Loan<T> extends Disposable {
  readonly value: T;
}

export class Recomputable<T extends Disposable> implements Disposable {
  /** Bytes of the value. */
  readonly bytes: number;
  private readonly budget: MemoryBudget;
  private readonly compute: () => Promise<T>;
  private pending: Promise<T> | undefined;
  private kept: T | undefined;
  private isCounted = false;
  private isDisposed = false;

  /** @param compute gives equal numbers each time; what it returns belongs to this object or to the loan */
  constructor(budget: MemoryBudget, bytes: number, compute: () => Promise<T>) {
    this.budget = budget;
    this.bytes = bytes;
    this.compute = compute;
  }

  /** Bytes kept in memory now, which the budget counts. */
  get heldBytes(): number {
    return this.isCounted ? this.bytes : 0;
  }

  /** The value: kept from the first use on where there is room, else computed now and disposed with the loan. */
  async acquire(): Promise<Loan<T>> {
    if (this.isDisposed) throw new Error('a disposed value was acquired');
    if (!this.isCounted && this.budget.take(this.bytes)) {
      this.isCounted = true;
      this.pending = this.computeKept();
    }
    // One computation, however many ask for it meanwhile.
    if (this.isCounted) return { value: await this.pending!, [Symbol.dispose]: () => undefined };
    const value = await this.compute();
    let isOut = true;
    return {
      value,
      [Symbol.dispose]() {
        if (isOut) value[Symbol.dispose]();
        isOut = false;
      },
    };
  }

  private async computeKept(): Promise<T> {
    try {
      const value = await this.compute();
      if (this.isDisposed) {
        value[Symbol.dispose]();
        throw new Error('a value was disposed while it was computed');
      }
      this.kept = value;
      return value;
    } catch (error) {
      // The next one who asks tries again.
      this.release();
      throw error;
    }
  }

  private release(): void {
    this.budget.giveBack(this.heldBytes);
    this.isCounted = false;
    this.pending = undefined;
    this.kept = undefined;
  }

  [Symbol.dispose](): void {
    this.isDisposed = true;
    this.kept?.[Symbol.dispose]();
    // What is still being computed gives its bytes back when it ends.
    if (this.kept) this.release();
  }
}
