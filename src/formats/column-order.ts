/**
 * Files, step 3 of npz: rows of a matrix that is stored column after column (NumPy's Fortran order). Every row is spread over the
 * whole matrix, so all rows that are asked for are collected in one pass over it.
 */
import type { ByteRun } from './tensor-reader.ts';

/** Columns read at once: their part of each row is then written together, and they fit the processor's cache. */
const PASS_BYTES = 4 * 2 ** 20;

export interface ColumnMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly elementBytes: number;
  /** Fills `target` with the bytes from `offset` on, in the order in which they are stored. Called once for each byte, in order. */
  readStored(offset: number, target: Uint8Array): Promise<void>;
}

/** Fills each run, whose offset and length count in whole rows of the row-major matrix. */
export async function collectRows(matrix: ColumnMatrix, runs: readonly ByteRun[]): Promise<void> {
  const { rows, columns, elementBytes } = matrix;
  const columnBytes = rows * elementBytes;
  const most = Math.min(columns, Math.max(1, Math.floor(PASS_BYTES / columnBytes)));
  const buffer = new Uint8Array(most * columnBytes);
  for (let first = 0; first < columns; first += most) {
    const part = buffer.subarray(0, Math.min(most, columns - first) * columnBytes);
    await matrix.readStored(first * columnBytes, part);
    for (const run of runs) scatter(matrix, part, first, run);
  }
}

/** Copies the columns in `part`, the first of which is `first`, to their places in the rows of one run. */
function scatter(
  { rows, columns, elementBytes }: ColumnMatrix,
  part: Uint8Array,
  first: number,
  run: ByteRun,
): void {
  // The widest words that the element and the caller's memory allow; an element may be several.
  const Words = [Uint32Array, Uint16Array, Uint8Array].find(
    ({ BYTES_PER_ELEMENT: size }) => elementBytes % size === 0 && run.target.byteOffset % size === 0,
  )!;
  const words = elementBytes / Words.BYTES_PER_ELEMENT;
  const over = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
    new Words(buffer as ArrayBuffer, byteOffset, byteLength / Words.BYTES_PER_ELEMENT);
  const [from, to] = [over(part), over(run.target)];
  const firstRow = run.offset / (columns * elementBytes);
  const width = part.byteLength / (rows * elementBytes);
  const count = run.target.byteLength / (columns * elementBytes);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < width; column++) {
      const source = (column * rows + firstRow + row) * words;
      const target = (row * columns + first + column) * words;
      for (let word = 0; word < words; word++) to[target + word] = from[source + word]!;
    }
  }
}
