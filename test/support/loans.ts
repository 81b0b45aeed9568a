/** Counts how many weights of a kind are in use at one time. */
import { expect } from '@jest/globals';
import type { HeldWeight, Weight } from '../../src/backend/backend.ts';

/** Calls `seen` whenever a weight is acquired, and when what was acquired is disposed. */
function watch(weight: Weight, seen: (change: 1 | -1) => void): void {
  const acquire = weight.acquire.bind(weight);
  weight.acquire = async (): Promise<HeldWeight> => {
    const held = await acquire();
    seen(1);
    return {
      shape: held.shape,
      matMul: (x, options) => held.matMul(x, options),
      rows: (indices) => held.rows(indices),
      [Symbol.dispose]() {
        held[Symbol.dispose]();
        seen(-1);
      },
    };
  };
}

/** From now on: the most of these weights that were acquired at one time. Fails when one of them still is. */
export function mostAtOnce(weights: readonly Weight[]): () => number {
  let [now, most] = [0, 0];
  for (const weight of weights) watch(weight, (change) => (most = Math.max(most, (now += change))));
  return () => {
    expect(now).toBe(0);
    return most;
  };
}
