/** Float32 numbers of a stored matrix that lies in JavaScript's memory: of ranges of rows, or of picked rows and columns. */
import { bytesOfNumbers, widen } from '../formats/dtype.ts';
import { isPacked } from '../formats/packed.ts';
import type { HostMatrix } from './host-memory.ts';
import { storageType } from './weight-source.ts';

export function widenStored(bytes: Uint8Array, { dtype }: HostMatrix): Float32Array {
  return widen(bytes, storageType(dtype));
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
  if (isPacked(dtype)) return pickUnpackedColumns(stored, indices);
  const Words = bytesOfNumbers(storageType(dtype), 1) === 4 ? Uint32Array : Uint16Array;
  const words = new Words(bytes.buffer as ArrayBuffer, bytes.byteOffset, rows * columns);
  const picked = new Words(indices.length * rows);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < indices.length; i++) {
      picked[i * rows + row] = words[row * columns + indices[i]!]!;
    }
  }
  return widenStored(new Uint8Array(picked.buffer), stored);
}

/** Numbers that are unpacked at a time. */
const PIECE_NUMBERS = 256 * 1024;

function pickUnpackedColumns(stored: HostMatrix, indices: Int32Array): Float32Array {
  const { rows, columns } = stored;
  const picked = new Float32Array(indices.length * rows);
  for (const range of stored.blocks(PIECE_NUMBERS)) {
    const wide = widenStored(stored.rowRange(range), stored);
    for (let row = range.start; row < range.stop; row++) {
      const at = (row - range.start) * columns;
      for (let i = 0; i < indices.length; i++) picked[i * rows + row] = wide[at + indices[i]!]!;
    }
  }
  return picked;
}
