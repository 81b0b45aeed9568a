/** Backend: a parameter that is read when it is first multiplied, and kept from then on. */
import type { Backend, Weight, WeightSource } from './backend.ts';

/** As `loadWeight`, but nothing is read before it is needed; single rows never need the rest. */
export function lazyWeight(backend: Backend, source: WeightSource): Weight {
  const fromFile = backend.streamWeight(source);
  let kept: Promise<Weight> | undefined;
  let held: Weight | undefined;
  return {
    name: fromFile.name,
    shape: fromFile.shape,
    dtype: fromFile.dtype,
    storedBytes: fromFile.storedBytes,
    get heldBytes() {
      return held?.heldBytes ?? 0;
    },
    async acquire() {
      // One reading, however many ask for it meanwhile; after a failure the next one tries again.
      kept ??= backend.loadWeight(source);
      try {
        held = await kept;
      } catch (error) {
        kept = undefined;
        throw error;
      }
      return await held.acquire();
    },
    rows: (indices) => (held ?? fromFile).rows(indices),
    [Symbol.dispose]() {
      held?.[Symbol.dispose]();
      fromFile[Symbol.dispose]();
    },
  };
}
