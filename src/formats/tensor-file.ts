/** Named arrays in a file, whatever its format: the headers are known, the bytes are read when asked for. */
import type { FileLocation } from './byte-source.ts';
import type { PackedType } from './packed.ts';

/** Types of single numbers that can be read, in the spelling of safetensors. */
export type ElementType =
  'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U64' | 'U32' | 'U16' | 'U8' | 'BOOL';

/** Storage types that can be read. */
export type StorageType = ElementType | PackedType;

/** What a header says of a tensor. */
export interface TensorInfo {
  readonly name: string;
  /** As the file spells it. Good files may have tensors of other types than `StorageType` beside those that are needed. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** A tensor whose numbers can be read. */
export interface ReadableTensor extends TensorInfo {
  readonly dtype: StorageType;
}

/** Half-open range of rows (first axis). */
export interface RowRange {
  readonly start: number;
  readonly stop: number;
}

/** One opened file, or several shards read as one. Offsets and lengths were checked when it was opened. */
export interface TensorFile extends Disposable {
  /** How errors name it: a path or an address. */
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * The stored little-endian bytes of a tensor, or of a range of its rows, in a new buffer that starts at an
   * offset of its ArrayBuffer divisible by 64 (so that any typed array can be a view of it). Rows follow one another, also
   * where the file stores columns.
   * Throws `BadFileError` for an unknown name, for a type that cannot be read and for bytes that cannot be read.
   */
  read(name: string, rows?: RowRange): Promise<Uint8Array>;
  /**
   * As `read`, into memory of the caller: `target.length` must be the exact number of bytes. Ranges are of vectors along the last
   * axis, as in `readVectors`.
   */
  readInto(name: string, target: Uint8Array, vectors?: RowRange): Promise<void>;
  /** Where the bytes of a tensor lie, row after row; undefined unless they are in a file of this machine as they are read. */
  location(name: string): FileLocation | undefined;
  /** Rows picked by index, one after the other in the order given; repeated indices are allowed. */
  readRows(name: string, indices: ArrayLike<number>): Promise<Uint8Array>;
  /**
   * As `readRows`, for vectors along the last axis: a tensor [a, b, c] is seen as the matrix [a · b, c]. So one slice of
   * a cross-layer decoder row can be read without the others.
   */
  readVectors(name: string, indices: ArrayLike<number>): Promise<Uint8Array>;
}
