/** Backend, WebAssembly: float32 numbers of a stored matrix that lies in JavaScript's memory, whole or picked. */
import { ELEMENT_BYTES, widen } from '../../formats/dtype.ts';
import type { HostMatrix } from '../host-memory.ts';
import { STORAGE_TYPES } from '../weight-source.ts';

export function widenStored(bytes: Uint8Array, { dtype }: HostMatrix): Float32Array {
  return widen(bytes, STORAGE_TYPES[dtype]);
}

/** Picked rows, float32 [indices.length, columns]. */
export function pickRows(stored: HostMatrix, indices: Int32Array): Float32Array {
  const rowBytes = stored.bytes.byteLength / stored.rows;
  const picked = new Uint8Array(indices.length * rowBytes);
  indices.forEach((row, i) => {
    picked.set(stored.rowRange({ start: row, stop: row + 1 }), i * rowBytes);
  });
  return widenStored(picked, stored);
}

/** Picked columns, float32 [indices.length, rows]. */
export function pickColumns(stored: HostMatrix, indices: Int32Array): Float32Array {
  const { rows, columns, bytes, dtype } = stored;
  const Words = ELEMENT_BYTES[STORAGE_TYPES[dtype]] === 4 ? Uint32Array : Uint16Array;
  const words = new Words(bytes.buffer as ArrayBuffer, bytes.byteOffset, rows * columns);
  const picked = new Words(indices.length * rows);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < indices.length; i++) {
      picked[i * rows + row] = words[row * columns + indices[i]!]!;
    }
  }
  return widenStored(new Uint8Array(picked.buffer), stored);
}
