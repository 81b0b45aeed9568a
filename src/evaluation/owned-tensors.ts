/** Evaluation: tensors that live longer than a tidy, disposed together, also when a step between them throws. */
import type { Tensor } from '../backend/backend.ts';

export class OwnedTensors implements Disposable {
  readonly #tensors = new Set<Tensor>();

  own<T extends Tensor>(tensor: T): T {
    this.#tensors.add(tensor);
    return tensor;
  }

  /** Disposes one before the others. */
  free(tensor: Tensor): void {
    this.#tensors.delete(tensor);
    tensor.dispose();
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#tensors) tensor.dispose();
    this.#tensors.clear();
  }
}
