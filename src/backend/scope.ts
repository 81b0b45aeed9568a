/** Ownership of tensors: holders that give back what they hold at the end of a brace, also after a throw. */
import type { Tensor } from './backend.ts';

/** A tensor as something to take with `using`: `using scores = owned(q.matMul(k)); … scores.tensor …`. */
export interface Owned<T extends Tensor> extends Disposable {
  readonly tensor: T;
  /** Hands the tensor to the caller, who disposes it from now on. */
  release(): T;
}

export function owned<T extends Tensor>(tensor: T): Owned<T> {
  let isMine = true;
  return {
    tensor,
    release() {
      isMine = false;
      return tensor;
    },
    [Symbol.dispose]() {
      if (isMine) tensor.dispose();
      isMine = false;
    },
  };
}
