/** Model: keys and values of the tokens that were run already, so that only new positions are computed. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor3D } from '../backend/backend.ts';
import type { PastKeysValues } from './attention.ts';

/** One entry a layer, [pos, n_kv_heads, d_head] each. Dispose it, or take it with `using`. */
export class KeyValueCache implements Disposable {
  private readonly layers = new Map<number, PastKeysValues>();
  private positions = 0;

  /** Number of positions held. */
  get length(): number {
    return this.positions;
  }

  get(layer: number): PastKeysValues | undefined {
    return this.layers.get(layer);
  }

  /** Takes over the keys and values of all positions up to and including the running pass. */
  put(layer: number, keys: Tensor3D, values: Tensor3D): void {
    const previous = this.layers.get(layer);
    this.layers.set(layer, { keys: tf.keep(keys.clone()), values: tf.keep(values.clone()) });
    previous?.keys.dispose();
    previous?.values.dispose();
  }

  /** Called once a pass, when all layers have put theirs. */
  advance(n: number): void {
    this.positions += n;
  }

  [Symbol.dispose](): void {
    for (const { keys, values } of this.layers.values()) {
      keys.dispose();
      values.dispose();
    }
    this.layers.clear();
    this.positions = 0;
  }
}
