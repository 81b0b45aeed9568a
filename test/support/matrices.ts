/** Matrices in memory for the backend tests: stored bits of any type, and what they mean in float64. */
import type { WeightSource, WeightType } from '../../src/backend/backend.ts';

/** Types of single numbers. */
export const WEIGHT_TYPES = ['float32', 'bfloat16', 'float16'] as const satisfies readonly WeightType[];

type ElementWeight = (typeof WEIGHT_TYPES)[number];

/** A float64 matrix in row-major order. */
export interface Matrix {
  readonly values: Float64Array;
  readonly rows: number;
  readonly columns: number;
}

export function matrix(rows: number, columns: number, value: (index: number) => number): Matrix {
  const values = new Float64Array(rows * columns);
  for (let i = 0; i < values.length; i++) values[i] = value(i);
  return { rows, columns, values };
}

/** Small whole numbers in no order: their sums of products are exact in float32 in any order of summation. */
export function wholeNumbers(rows: number, columns: number, seed: number): Matrix {
  const next = randomBits(seed);
  return matrix(rows, columns, () => (next() % 17) - 8);
}

/** xorshift32: the same numbers on every run. */
export function randomBits(seed: number): () => number {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

export function transposed({ rows, columns, values }: Matrix): Matrix {
  return matrix(columns, rows, (i) => values[(i % rows) * columns + ((i / rows) | 0)]!);
}

/** a · b in float64, and for each element the sum of |a|·|b| that bounds its rounding errors. */
export function product(a: Matrix, b: Matrix): { exact: Float64Array; magnitude: Float64Array } {
  const { rows, columns: inner } = a;
  const { columns } = b;
  const { abs } = Math; // looked up once: in jest's realm a global costs more than the product
  const exact = new Float64Array(rows * columns);
  const magnitude = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < inner; k++) {
      const factor = a.values[i * inner + k]!;
      for (let j = 0; j < columns; j++) {
        const term = factor * b.values[k * columns + j]!;
        exact[i * columns + j] = exact[i * columns + j]! + term;
        magnitude[i * columns + j] = magnitude[i * columns + j]! + abs(term);
      }
    }
  }
  return { exact, magnitude };
}

/** What 16 bits mean, from the definition of the type: (-1)^s · 2^(e - bias) · 1.f, or 0.f where e is 0. */
export function decode16(bits: number, dtype: 'bfloat16' | 'float16'): number {
  const [exponentBits, fractionBits] = dtype === 'bfloat16' ? [8, 7] : [5, 10];
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >>> 15 ? -1 : 1;
  const exponent = (bits >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * 2 ** (1 - bias) * fraction;
  return sign * 2 ** (exponent - bias) * (1 + fraction);
}

const codeTables = new Map<WeightType, ReadonlyMap<number, number>>();

/** The bits of each number that the type can hold. */
function codes(dtype: 'bfloat16' | 'float16'): ReadonlyMap<number, number> {
  const known = codeTables.get(dtype);
  if (known) return known;
  const table = new Map(Array.from({ length: 65536 }, (_, bits) => [decode16(bits, dtype), bits]));
  codeTables.set(dtype, table);
  return table;
}

function encode(values: Float64Array, dtype: ElementWeight): Uint8Array {
  if (dtype === 'float32') return new Uint8Array(new Float32Array(values).buffer);
  const table = codes(dtype);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const code = table.get(values[i]!);
    if (code === undefined) throw new Error(`${values[i]} is not a ${dtype}`);
    bits[i] = code;
  }
  return new Uint8Array(bits.buffer);
}

/** A source that counts what is read of it. `logical` has to be exact in `dtype`. */
export interface MemorySource extends WeightSource {
  readonly readBytes: () => number;
}

export function memorySource(logical: Matrix, dtype: ElementWeight, isTransposed: boolean): MemorySource {
  const stored = isTransposed ? transposed(logical) : logical;
  return storedSource(encode(stored.values, dtype), [stored.rows, stored.columns], dtype, isTransposed);
}

export function storedSource(
  bytes: Uint8Array,
  shape: readonly [number, number],
  dtype: WeightType,
  isTransposed: boolean,
): MemorySource {
  const rowBytes = bytes.byteLength / shape[0];
  let readBytes = 0;
  return {
    name: `W_test (${dtype})`,
    shape,
    dtype,
    transposed: isTransposed,
    readBytes: () => readBytes,
    readInto(target, { start, stop }) {
      target.set(bytes.subarray(start * rowBytes, stop * rowBytes));
      readBytes += (stop - start) * rowBytes;
      return Promise.resolve();
    },
    readRows(indices) {
      const picked = new Uint8Array(indices.length * rowBytes);
      for (let i = 0; i < indices.length; i++) {
        picked.set(bytes.subarray(indices[i]! * rowBytes, (indices[i]! + 1) * rowBytes), i * rowBytes);
      }
      readBytes += picked.byteLength;
      return Promise.resolve(picked);
    },
  };
}
