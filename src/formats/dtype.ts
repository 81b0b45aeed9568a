/** Files, step 2: how numbers are stored, and their conversion to and from float32. Hosts are little-endian, as the files are. */
import { BadFileError, unreachable } from '../errors.ts';
import { float16Table } from './float16.ts';
import { isPacked, PACKED_BLOCKS, unpack, type BlockSize } from './packed.ts';
import { shownName } from './shown.ts';
import type { ElementType, ReadableTensor, StorageType, TensorInfo } from './tensor-file.ts';

/** Bytes of one element. */
export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

function isElementType(text: string): text is ElementType {
  return Object.hasOwn(ELEMENT_BYTES, text);
}

/** What a type is stored in: blocks, or single numbers. */
export function blockOf(dtype: StorageType): BlockSize {
  return isPacked(dtype) ? PACKED_BLOCKS[dtype] : { numbers: 1, bytes: ELEMENT_BYTES[dtype] };
}

/** Bytes of so many numbers, which have to be whole blocks. */
export function bytesOfNumbers(dtype: StorageType, n: number): number {
  const { numbers, bytes } = blockOf(dtype);
  return (n / numbers) * bytes;
}

function isReadable(info: TensorInfo): info is ReadableTensor {
  return isElementType(info.dtype) || isPacked(info.dtype);
}

/** The tensor, with a type that can be read. Throws `BadFileError` that names it otherwise. */
export function readable(fileName: string, info: TensorInfo): ReadableTensor {
  if (isReadable(info)) return info;
  throw new BadFileError({
    code: 'tensor_dtype',
    message: `${fileName}: tensor ${shownName(info.name)} has dtype ${shownName(info.dtype)}; expected one of ${Object.keys(ELEMENT_BYTES).join(', ')}`,
    hint: 'Convert the tensor to one of these types.',
  });
}

const BITS_PER_BYTE = 8;

/** Types of safetensors that are not read here: their lengths are checked all the same. */
const OTHER_ELEMENT_BITS: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E5M2FNUZ: 8,
  F8_E4M3FNUZ: 8,
  F8_E8M0: 8,
  C64: 64,
};

/** Bytes of a tensor of any type of safetensors; undefined for a type that is not known at all. */
export function byteLengthOf(dtype: string, shape: readonly number[]): number | undefined {
  const length = shape.reduce((product, size) => product * size, 1);
  if (isElementType(dtype)) return length * ELEMENT_BYTES[dtype];
  if (!Object.hasOwn(OTHER_ELEMENT_BITS, dtype)) return undefined;
  return (length * OTHER_ELEMENT_BITS[dtype]!) / BITS_PER_BYTE;
}

type NumberArray =
  Float64Array | Int32Array | Int16Array | Int8Array | Uint32Array | Uint16Array | Uint8Array;

/**
 * Stored bytes as float32. F32 that is aligned to 4 bytes is a view of `bytes`, all else a new array. F16 and BF16 are
 * exact (subnormals, infinities and the bits of NaN included); F64 and integers beyond 2^24 are rounded to the nearest.
 * `bytes.byteLength` must be a multiple of the element size, of a packed type of its block's.
 */
export function widen(bytes: Uint8Array, dtype: StorageType): Float32Array {
  if (isPacked(dtype)) return unpack(bytes, dtype);
  const size = ELEMENT_BYTES[dtype];
  if (bytes.byteLength % size !== 0)
    throw new Error(`${bytes.byteLength} bytes are not a whole number of ${dtype}`);
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const length = bytes.byteLength / size;
  const over = <T>(View: new (buffer: ArrayBufferLike, byteOffset: number, length: number) => T) =>
    new View(aligned.buffer, aligned.byteOffset, length);
  switch (dtype) {
    case 'F32':
      return over(Float32Array);
    case 'BF16':
      return widenBfloat16(over(Uint16Array));
    case 'F16':
      return widenFloat16(over(Uint16Array));
    case 'I64':
      return widenWords(over(BigInt64Array));
    case 'U64':
      return widenWords(over(BigUint64Array));
    case 'F64':
      return rounded(over(Float64Array));
    case 'I32':
      return rounded(over(Int32Array));
    case 'I16':
      return rounded(over(Int16Array));
    case 'I8':
      return rounded(over(Int8Array));
    case 'U32':
      return rounded(over(Uint32Array));
    case 'U16':
      return rounded(over(Uint16Array));
    case 'U8':
    case 'BOOL':
      return rounded(over(Uint8Array));
    default:
      return unreachable(dtype);
  }
}

function rounded(values: NumberArray): Float32Array {
  return Float32Array.from(values);
}

function widenWords(values: BigInt64Array | BigUint64Array): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = Number(values[i]);
  return out;
}

/** bfloat16 is the upper half of a float32. */
function widenBfloat16(values: Uint16Array): Float32Array {
  const bits = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = values[i]! << 16;
  return new Float32Array(bits.buffer);
}

function widenFloat16(values: Uint16Array): Float32Array {
  const table = float16Table();
  const bits = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = table[values[i]!]!;
  return new Float32Array(bits.buffer);
}

/** Bits of float32 values as bfloat16, rounded to nearest, ties to even; NaN stays NaN. */
export function narrowToBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    // Half of the last place, less one when the kept part is even: ties then round to even.
    out[i] = isNaN ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}

/** Values summed up before the sum is checked. */
const SEARCH_BLOCK = 1024;

/** Index of the first NaN or infinity, or -1. */
export function firstNonFinite(values: Float32Array | Float64Array): number {
  for (let start = 0; start < values.length; start += SEARCH_BLOCK) {
    const stop = Math.min(start + SEARCH_BLOCK, values.length);
    // v - v is 0 for finite numbers and NaN for the others; NaN survives addition, so a block needs one comparison.
    let sum = 0;
    for (let i = start; i < stop; i++) sum += values[i]! - values[i]!;
    if (sum === 0) continue;
    for (let i = start; i < stop; i++) if (!Number.isFinite(values[i])) return i;
  }
  return -1;
}

/** The same for stored bytes, without widening them first (4 times as fast for 2-byte floats); integers are always finite. */
export function firstNonFiniteStored(bytes: Uint8Array, dtype: StorageType): number {
  if (dtype !== 'BF16' && dtype !== 'F16') {
    const isFloat = dtype === 'F32' || dtype === 'F64' || isPacked(dtype);
    return isFloat ? firstNonFinite(widen(bytes, dtype)) : -1;
  }
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, Math.floor(bytes.byteLength / 4));
  // Non-finite: all exponent bits are set, so that adding the lowest of them carries into the sign bit. Two values a word.
  const [exponent, lowest] = dtype === 'BF16' ? [0x7f807f80, 0x00800080] : [0x7c007c00, 0x04000400];
  const signs = 0x80008000 | 0;
  const half = SEARCH_BLOCK / 2;
  let start = 0;
  for (; start < words.length; start += half) {
    const stop = Math.min(start + half, words.length);
    let carried = 0;
    for (let i = start; i < stop; i++) carried |= (words[i]! & exponent) + lowest;
    if ((carried & signs) !== 0) break;
  }
  // What is left to search is the block with the first such value, or an odd last value.
  const begin = Math.min(start, words.length) * 2;
  const rest = firstNonFinite(widen(aligned.subarray(begin * 2, begin * 2 + SEARCH_BLOCK * 2), dtype));
  return rest < 0 ? -1 : begin + rest;
}
