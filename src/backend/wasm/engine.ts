/** Backend, WebAssembly: weights stay as stored in JavaScript's memory, and are widened block by block while multiplied. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend.ts';
import type { Engine } from '../engine.ts';
import { HostMemory, type HostMatrix } from '../host-memory.ts';
import { pickColumns, pickRows, widenStored } from '../host-gather.ts';

/**
 * Numbers in one block: 8 MiB once widened. The wasm heap ends at 4 GiB and never shrinks, so what is copied into it
 * for a product stays small, whatever the size of the weight.
 */
const BLOCK_NUMBERS = 2 * 1024 * 1024;

/** The wasm engine of TF.js, which has to be its current backend. */
export function wasmEngine(): Engine<HostMatrix> {
  const memory = new HostMemory((byteLength) => new Uint8Array(byteLength));
  return {
    multipliesAsStored: false,
    store: (source, lifetime) => memory.read(source, lifetime),
    product: (x, stored, orientation) =>
      orientation === 'stored' ? timesStored(x, stored) : timesTransposed(x, stored),
    gather(stored, indices, axis) {
      return axis === 'rows'
        ? tf.tensor2d(pickRows(stored, indices), [indices.length, stored.columns])
        : tf.tensor2d(pickColumns(stored, indices), [indices.length, stored.rows]);
    },
  };
}

/** x · stored: each block takes some columns of x and adds to the whole result. */
function timesStored(x: Tensor2D, stored: HostMatrix): Tensor2D {
  const n = x.shape[0];
  let sum: Tensor2D | undefined; // [n, columns]
  for (const { start, stop } of stored.blocks(BLOCK_NUMBERS)) {
    const before: Tensor2D | undefined = sum;
    sum = tf.tidy(() => {
      const xColumns = tf.slice(x, [0, start], [n, stop - start]);
      const part = tf.matMul<Tensor2D>(xColumns, widenedRows(stored, start, stop));
      return before ? tf.add(before, part) : part;
    });
    before?.dispose();
  }
  return sum!;
}

/**
 * x · storedᵀ, each block giving some columns of the result, taken as (stored · xᵀ)ᵀ: the wasm kernel is 6 to 12 times
 * slower when its second operand is transposed.
 */
function timesTransposed(x: Tensor2D, stored: HostMatrix): Tensor2D {
  return tf.tidy(() => {
    const xT = tf.transpose(x); // [columns, n]
    const parts = stored
      .blocks(BLOCK_NUMBERS)
      .map(({ start, stop }) => tf.tidy(() => tf.matMul<Tensor2D>(widenedRows(stored, start, stop), xT))); // [rows, n]
    return tf.transpose(parts.length === 1 ? parts[0]! : tf.concat(parts, 0));
  });
}

function widenedRows(stored: HostMatrix, start: number, stop: number): Tensor2D {
  const values = widenStored(stored.rowRange({ start, stop }), stored);
  return tf.tensor2d(values, [stop - start, stored.columns]);
}
