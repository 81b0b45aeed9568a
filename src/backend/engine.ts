/** What an engine brings: storage, product, gather. `weight.ts` makes weights of it that behave alike on every engine. */
import type { MatrixSource, Tensor2D } from './backend.ts';

/** How long a storage lives: as long as its weight, or only while the weight is lent (its memory can be used again soon). */
export type Lifetime = 'kept' | 'streamed';

/** Stored numbers in a form that the engine multiplies. Disposed once, after its last use. */
export interface Storage extends Disposable {
  /** Bytes of memory that it holds. */
  readonly heldBytes: number;
}

/** Whether a product takes the matrix as it is stored, x · stored, or its transpose, x · storedᵀ. */
export type Orientation = 'stored' | 'transposed';

/**
 * The part of a backend that differs between engines. Matrices are meant as they are stored; that a stored matrix may be the
 * transpose of a logical one is known to `weight.ts` and `loan.ts`. No axis of an operand is empty, and shapes and indices fit.
 */
export interface Engine<S extends Storage = Storage> {
  /** Products take matrices of every type as they are stored, without a float32 copy. */
  readonly multipliesAsStored: boolean;
  /** Reads a stored matrix into memory of the engine. */
  store(source: MatrixSource, lifetime: Lifetime): Promise<S>;
  /** x · stored or x · storedᵀ in float32, without gradient. x is float32; the result belongs to the caller. */
  product(x: Tensor2D, stored: S, orientation: Orientation): Tensor2D;
  /** Rows as float32 [indices.length, columns], or columns as float32 [indices.length, rows]. Belongs to the caller. */
  gather(stored: S, indices: Int32Array, axis: 'rows' | 'columns'): Tensor2D;
}
