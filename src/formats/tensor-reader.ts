/** Files, step 3, shared by all formats once a header is checked: from a tensor's name and rows to a range of its bytes. */
import { BadFileError, ExhaustedError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { allDone, type FileLocation } from './byte-source.ts';
import { readable } from './dtype.ts';
import type { ReadableTensor, RowRange, TensorFile, TensorInfo } from './tensor-file.ts';

/** What a format adds: where the bytes of a tensor lie. */
export interface TensorBytes extends Disposable {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** As `TensorFile.location`. */
  location?(info: TensorInfo): FileLocation | undefined;
  /** Fills runs of whole rows of one tensor. */
  readRuns(info: ReadableTensor, runs: readonly ByteRun[]): Promise<void>;
}

/** Bytes of a tensor from `offset` on (counted from its first), as many as `target` has. */
export interface ByteRun {
  readonly offset: number;
  readonly target: Uint8Array;
}

/** Rows scattered over a file are asked for together, so that a disk or server can work on several. */
const READS_IN_FLIGHT = 16;

/** Names, row ranges and single rows over the byte ranges of one file. */
export function tensorFile(file: TensorBytes): TensorFile {
  const readableInfo = (name: string) => readable(file.name, tensorInfo(file, name));
  const readInto = async (info: ReadableTensor, target: Uint8Array, rows?: RowRange) => {
    const { name } = info;
    const { offset, byteLength } = rowBytes(file, info, rows);
    if (target.byteLength !== byteLength) {
      throw new Error(`${name}: the target has ${target.byteLength} bytes, the rows have ${byteLength}`);
    }
    await file.readRuns(info, [{ offset, target }]);
  };
  return {
    name: file.name,
    metadata: file.metadata,
    tensors: file.tensors,
    readInto: async (name, target, vectors) => readInto(asMatrix(readableInfo(name)), target, vectors),
    location: (name) => file.location?.(tensorInfo(file, name)),
    async read(name, rows) {
      const info = readableInfo(name);
      const target = allocate(rowBytes(file, info, rows).byteLength, `${file.name}: tensor ${name}`);
      await readInto(info, target, rows);
      return target;
    },
    readRows: async (name, indices) => readScattered(file, readableInfo(name), indices),
    readVectors: async (name, indices) => readScattered(file, asMatrix(readableInfo(name)), indices),
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/** Reads runs in batches. Waits also after a failure, so that no read writes into the memory after this has ended. */
export async function readInBatches(
  runs: readonly ByteRun[],
  read: (offset: number, target: Uint8Array) => Promise<void>,
): Promise<void> {
  for (let i = 0; i < runs.length; i += READS_IN_FLIGHT) {
    const batch = runs.slice(i, i + READS_IN_FLIGHT);
    await allDone(batch.map(({ offset, target }) => read(offset, target)));
  }
}

/** Rows of a tensor by index, one after the other in new memory. */
async function readScattered(
  file: TensorBytes,
  info: ReadableTensor,
  indices: ArrayLike<number>,
): Promise<Uint8Array> {
  const bytesPerRow = rowSize(info);
  const target = allocate(indices.length * bytesPerRow, `${file.name}: rows of tensor ${info.name}`);
  const runs = consecutiveRuns(indices).map(({ start, stop, at }) => {
    const { offset, byteLength } = rowBytes(file, info, { start, stop });
    return { offset, target: target.subarray(at * bytesPerRow, at * bytesPerRow + byteLength) };
  });
  await file.readRuns(info, runs);
  return target;
}

/** [a, b, c] seen as [a · b, c]. */
function asMatrix(info: ReadableTensor): ReadableTensor {
  const vectors = info.shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return { ...info, shape: [vectors, info.shape.at(-1) ?? 1] };
}

/** The entry of `name`; throws `BadFileError` that suggests the nearest name. */
export function tensorInfo(file: Pick<TensorFile, 'name' | 'tensors'>, name: string): TensorInfo {
  const info = file.tensors.get(name);
  if (info) return info;
  throw tensorMissing(file, name);
}

export function tensorMissing(file: Pick<TensorFile, 'name' | 'tensors'>, name: string): BadFileError {
  const guess = nearest(name, file.tensors.keys());
  return new BadFileError({
    code: 'tensor_missing',
    message: `${file.name} has no tensor ${name}; it has ${file.tensors.size} others`,
    ...(guess && { hint: `The nearest name is ${guess}.` }),
  });
}

/** New zeroed memory; throws `ExhaustedError` where JavaScript would throw a RangeError. */
export function allocate(byteLength: number, purpose: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(byteLength);
  } catch (cause) {
    throw new ExhaustedError({
      code: 'out_of_memory',
      message: `${purpose} needs ${byteLength} bytes of memory, which are not available`,
      hint: 'Free memory, or use a smaller model or set.',
      cause,
    });
  }
}

function rowCount(info: TensorInfo): number {
  return info.shape[0] ?? 1; // a scalar is one row
}

function rowSize(info: TensorInfo): number {
  const rows = rowCount(info);
  return rows === 0 ? 0 : info.byteLength / rows;
}

function rowBytes(file: TensorBytes, info: TensorInfo, rows: RowRange = { start: 0, stop: rowCount(info) }) {
  const { start, stop } = rows;
  const inside = Number.isSafeInteger(start) && Number.isSafeInteger(stop) && 0 <= start && start <= stop;
  if (!inside || stop > rowCount(info)) {
    throw new BadFileError({
      code: 'tensor_rows',
      message: `${file.name}: rows ${start} to ${stop} of tensor ${info.name} are asked for, which has ${rowCount(info)} rows`,
    });
  }
  const bytesPerRow = rowSize(info);
  return { offset: start * bytesPerRow, byteLength: (stop - start) * bytesPerRow };
}

/** Indices that follow one another become one range; `at` is the position of its first row in the list. */
function consecutiveRuns(indices: ArrayLike<number>) {
  const runs: { start: number; stop: number; at: number }[] = [];
  for (let at = 0; at < indices.length; at++) {
    const index = indices[at]!;
    const last = runs.at(-1);
    if (last?.stop === index) last.stop++;
    else runs.push({ start: index, stop: index + 1, at });
  }
  return runs;
}
