/**
 * Files, step 2 (packed types): blocks of numbers that share a scale, as ggml stores them, and their conversion to float32.
 * Every product below is exact in double precision, so that rounding the result to float32 gives what ggml computes in float32.
 * Format: https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h
 */
import { unreachable } from '../errors.ts';
import { float16Values } from './float16.ts';

/** Types whose numbers are packed in blocks, in ggml's spelling. */
export const PACKED_TYPES = [
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q8_0',
  'Q4_K',
  'Q5_K',
  'Q6_K',
  'MXFP4',
] as const;
export type PackedType = (typeof PACKED_TYPES)[number];

/** Numbers of a block, and its bytes. A row consists of whole blocks. */
export interface BlockSize {
  readonly numbers: number;
  readonly bytes: number;
}

export const PACKED_BLOCKS: Readonly<Record<PackedType, BlockSize>> = {
  Q4_0: { numbers: 32, bytes: 18 },
  Q4_1: { numbers: 32, bytes: 20 },
  Q5_0: { numbers: 32, bytes: 22 },
  Q5_1: { numbers: 32, bytes: 24 },
  Q8_0: { numbers: 32, bytes: 34 },
  Q4_K: { numbers: 256, bytes: 144 },
  Q5_K: { numbers: 256, bytes: 176 },
  Q6_K: { numbers: 256, bytes: 210 },
  MXFP4: { numbers: 32, bytes: 17 },
};

export function isPacked(type: string): type is PackedType {
  return Object.hasOwn(PACKED_BLOCKS, type);
}

/** Whole blocks as float32. Throws unless `bytes` are whole blocks. */
export function unpack(bytes: Uint8Array, type: PackedType): Float32Array {
  const size = PACKED_BLOCKS[type];
  const nBlocks = bytes.byteLength / size.bytes;
  if (!Number.isInteger(nBlocks))
    throw new Error(`${bytes.byteLength} bytes are not a whole number of blocks of ${type}`);
  const out = new Float32Array(nBlocks * size.numbers);
  unpackerOf(type)(bytes, out, nBlocks);
  return out;
}

type Unpacker = (bytes: Uint8Array, out: Float32Array, nBlocks: number) => void;

function unpackerOf(type: PackedType): Unpacker {
  switch (type) {
    case 'Q4_0':
      return unpackQ4_0;
    case 'Q4_1':
      return unpackQ4_1;
    case 'Q5_0':
      return unpackQ5_0;
    case 'Q5_1':
      return unpackQ5_1;
    case 'Q8_0':
      return unpackQ8_0;
    case 'Q4_K':
      return unpackQ4_K;
    case 'Q5_K':
      return unpackQ5_K;
    case 'Q6_K':
      return unpackQ6_K;
    case 'MXFP4':
      return unpackMXFP4;
    default:
      return unreachable(type);
  }
}

/** Half of the numbers of a small block: those of the low bits of its bytes come first, then those of the high bits. */
const HALF = 16;

function unpackQ4_0(bytes: Uint8Array, out: Float32Array, nBlocks: number): void {
  const halves = float16Values();
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 18, to += 32) {
    const d = halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
    for (let i = 0; i < HALF; i++) {
      const q = bytes[at + 2 + i]!;
      out[to + i] = d * ((q & 15) - 8);
      out[to + HALF + i] = d * ((q >> 4) - 8);
    }
  }
}

function unpackQ4_1(bytes: Uint8Array, out: Float32Array, nBlocks: number): void {
  const halves = float16Values();
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 20, to += 32) {
    const d = halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const m = halves[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
    for (let i = 0; i < HALF; i++) {
      const q = bytes[at + 4 + i]!;
      out[to + i] = d * (q & 15) + m;
      out[to + HALF + i] = d * (q >> 4) + m;
    }
  }
}

function unpackQ5_0(bytes: Uint8Array, out: Float32Array, nBlocks: number): void {
  const halves = float16Values();
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 22, to += 32) {
    const d = halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const high = fifthBits(bytes, at + 2);
    for (let i = 0; i < HALF; i++) {
      const q = bytes[at + 6 + i]!;
      out[to + i] = d * (((q & 15) | (((high >>> i) & 1) << 4)) - 16);
      out[to + HALF + i] = d * (((q >> 4) | (((high >>> (HALF + i)) & 1) << 4)) - 16);
    }
  }
}

function unpackQ5_1(bytes: Uint8Array, out: Float32Array, nBlocks: number): void {
  const halves = float16Values();
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 24, to += 32) {
    const d = halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const m = halves[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
    const high = fifthBits(bytes, at + 4);
    for (let i = 0; i < HALF; i++) {
      const q = bytes[at + 8 + i]!;
      out[to + i] = d * ((q & 15) | (((high >>> i) & 1) << 4)) + m;
      out[to + HALF + i] = d * ((q >> 4) | (((high >>> (HALF + i)) & 1) << 4)) + m;
    }
  }
}

/** One bit for each number of a block. */
function fifthBits(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function unpackQ8_0(bytes: Uint8Array, out: Float32Array, nBlocks: number): void {
  const halves = float16Values();
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 34, to += 32) {
    const d = halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
    for (let i = 0; i < 32; i++) out[to + i] = d * signed(bytes[at + 2 + i]!);
  }
}

function signed(byte: number): number {
  return (byte << 24) >> 24;
}

/** Scale and minimum (`at` 0 and 4) of a part of 32 numbers, 6 bits each, of the 12 bytes at `at`. */
function sixBits(bytes: Uint8Array, at: number, part: number, which: 0 | 4): number {
  if (part < 4) return bytes[at + which + part]! & 63;
  const low = bytes[at + 4 + part]!;
  return (which === 0 ? low & 15 : low >> 4) | ((bytes[at + which + part - 4]! >> 6) << 4);
}

function unpackQ4_K(bytes: Uint8Array, out: Float32Array, nBlocks: number): void {
  const halves = float16Values();
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 144) {
    const d = halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const dmin = halves[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
    for (let part = 0; part < 8; part++, to += 32) {
      const scale = d * sixBits(bytes, at + 4, part, 0);
      const min = dmin * sixBits(bytes, at + 4, part, 4);
      const from = at + 16 + (part >> 1) * 32;
      const shift = (part & 1) * 4;
      for (let i = 0; i < 32; i++) out[to + i] = scale * ((bytes[from + i]! >> shift) & 15) - min;
    }
  }
}

function unpackQ5_K(bytes: Uint8Array, out: Float32Array, nBlocks: number): void {
  const halves = float16Values();
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 176) {
    const d = halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const dmin = halves[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
    for (let part = 0; part < 8; part++, to += 32) {
      const scale = d * sixBits(bytes, at + 4, part, 0);
      const min = dmin * sixBits(bytes, at + 4, part, 4);
      const high = at + 16;
      const from = at + 48 + (part >> 1) * 32;
      const shift = (part & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const q = ((bytes[from + i]! >> shift) & 15) | (((bytes[high + i]! >> part) & 1) << 4);
        out[to + i] = scale * q - min;
      }
    }
  }
}

function unpackQ6_K(bytes: Uint8Array, out: Float32Array, nBlocks: number): void {
  const halves = float16Values();
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 210) {
    const d = halves[bytes[at + 208]! | (bytes[at + 209]! << 8)]!;
    // Four parts of 32 numbers share 64 bytes of low bits and 32 of high bits.
    for (let part = 0; part < 8; part++, to += 32) {
      const group = part >> 2;
      const quarter = part & 3;
      const low = at + group * 64 + (quarter & 1) * 32;
      const high = at + 128 + group * 32;
      const lowShift = (quarter >> 1) * 4;
      for (let i = 0; i < 32; i++) {
        const scale = d * signed(bytes[at + 192 + part * 2 + (i >> 4)]!);
        const q = ((bytes[low + i]! >> lowShift) & 15) | (((bytes[high + i]! >> (quarter * 2)) & 3) << 4);
        out[to + i] = scale * (q - 32);
      }
    }
  }
}

/** Twice the values of four bits of E2M1: a sign, two bits of exponent, one of fraction. */
const E2M1 = Float64Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

function unpackMXFP4(bytes: Uint8Array, out: Float32Array, nBlocks: number): void {
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 17, to += 32) {
    const d = 2 ** (bytes[at]! - 128); // half of the E8M0 scale, for values that are doubled
    for (let i = 0; i < HALF; i++) {
      const q = bytes[at + 1 + i]!;
      out[to + i] = d * E2M1[q & 15]!;
      out[to + HALF + i] = d * E2M1[q >> 4]!;
    }
  }
}
