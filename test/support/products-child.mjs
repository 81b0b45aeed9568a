/**
 * A process of its own for native products, because their kernel is chosen once a process (`TRACER_KERNEL`): multiplies random
 * matrices of every type both ways and prints, as JSON, the kernel's worst error and a hash of all results.
 */
import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs-core';
import { openDevice } from '../../dist/backend/select.js';
import { isPacked, PACKED_BLOCKS, PACKED_TYPES, unpack } from '../../dist/formats/packed.js';

const SHAPES = [
  [1, 7, 5],
  [1, 4100, 21],
  [3, 2051, 40],
  [2, 64, 33],
  [9, 48, 70],
  [16, 130, 257],
  [33, 257, 96],
  [130, 65, 300],
  [300, 130, 530],
];
const TYPES = ['float32', 'bfloat16', 'float16', ...PACKED_TYPES];
/** Rows of packed types are whole blocks. */
const UNIT = 256;

/** Where the float16 numbers of a block stand: of random bits some would be infinite. */
const HALVES = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
};
/** 2^-8 to 2^-4: with 15 or 63 as the largest number of a block, products stay of the size of the others. */
const HALF_EXPONENTS = [7, 4];

/** What the compiler's `using` calls, also where Node has no such symbol. */
const disposal = Symbol.dispose;

let state = 12345;
const random = () => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  state >>>= 0;
  return state / 2 ** 31 - 1;
};

const backend = await openDevice('cpu', 'float32');
const hash = createHash('sha256');
let worst = 0;
/** Numbers of packed types that a product with a row of an identity matrix does not give as they are. */
let nWrong = 0;
for (const dtype of TYPES) {
  for (const [n, rows, width] of SHAPES) {
    const columns = isPacked(dtype) ? Math.ceil(width / UNIT) * UNIT : width;
    const { bytes, values } = stored(dtype, rows * columns);
    const weight = await backend.loadWeight({ name: 'test', shape: [rows, columns], dtype, bytes });
    const held = await weight.acquire();
    for (const transpose of [false, true]) {
      const inner = transpose ? columns : rows;
      const width = transpose ? rows : columns;
      const x = Float32Array.from({ length: n * inner }, random);
      const y = held.matMul(tf.tensor2d(x, [n, inner]), { transpose });
      const found = await y.data();
      hash.update(new Uint8Array(found.buffer, found.byteOffset, found.byteLength));
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < width; j++) {
          let exact = 0;
          let magnitude = 0;
          for (let k = 0; k < inner; k++) {
            const term = x[i * inner + k] * values[transpose ? j * columns + k : k * columns + j];
            exact += term;
            magnitude += Math.abs(term);
          }
          const error = Math.abs(found[i * width + j] - exact) / magnitude;
          worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
        }
      }
    }
    if (isPacked(dtype)) nWrong += await wrongInOneRow(held, values, rows, columns);
    const last = await weight.rows(Int32Array.of(rows - 1, 0));
    const picked = await last.data();
    const expected = [...values.slice(-columns), ...values.slice(0, columns)];
    if (expected.some((value, i) => value !== picked[i])) worst = Infinity;
    weight[disposal]();
  }
}
process.stdout.write(JSON.stringify({ worst, nWrong, hash: hash.digest('hex') }));

/** Random numbers as they are stored, and what they mean. */
function stored(dtype, length) {
  const exact = Float32Array.from({ length }, random);
  if (isPacked(dtype)) {
    const bytes = randomBlocks(dtype, length);
    return { bytes, values: unpack(bytes, dtype) };
  }
  if (dtype === 'float32') return { bytes: new Uint8Array(exact.buffer), values: exact };
  const halves = new Uint16Array(length);
  const values = new Float32Array(length);
  const word = new Uint32Array(1);
  const real = new Float32Array(word.buffer);
  for (let i = 0; i < length; i++) {
    if (dtype === 'bfloat16') {
      real[0] = exact[i];
      halves[i] = word[0] >>> 16;
      word[0] = halves[i] << 16;
      values[i] = real[0];
    } else {
      // sign, exponents from 2^-24 to 2^4 (subnormal ones too), ten bits of fraction
      const bits = (random() < 0 ? 0x8000 : 0) | Math.floor((random() + 1) * 0.5 * 19 * 1024);
      const exponent = (bits >> 10) & 31;
      const fraction = (bits & 1023) / 1024;
      const magnitude = exponent === 0 ? 2 ** -14 * fraction : 2 ** (exponent - 15) * (1 + fraction);
      halves[i] = bits;
      values[i] = bits & 0x8000 ? -magnitude : magnitude;
    }
  }
  return { bytes: new Uint8Array(halves.buffer), values };
}

/** The last row and column, by products with vectors that have a single one: numbers that are not exactly what they mean. */
async function wrongInOneRow(held, values, rows, columns) {
  let wrong = 0;
  for (const transpose of [false, true]) {
    const inner = transpose ? columns : rows;
    const width = transpose ? rows : columns;
    const x = Float32Array.from({ length: inner }, (_, i) => (i === inner - 1 ? 1 : 0));
    const found = await held.matMul(tf.tensor2d(x, [1, inner]), { transpose }).data();
    const at = (i) => (transpose ? (i + 1) * columns - 1 : (rows - 1) * columns + i);
    for (let i = 0; i < width; i++) if (found[i] !== values[at(i)]) wrong++;
  }
  return wrong;
}

function randomBlocks(dtype, length) {
  const size = PACKED_BLOCKS[dtype];
  const bytes = Uint8Array.from({ length: (length / size.numbers) * size.bytes }, () => (random() + 1) * 128);
  for (let at = 0; at < bytes.length; at += size.bytes) {
    for (const half of HALVES[dtype] ?? []) {
      const exponent = HALF_EXPONENTS[0] + Math.floor((random() + 1) * 0.5 * HALF_EXPONENTS[1]);
      bytes[at + half + 1] = (random() < 0 ? 0x80 : 0) | (exponent << 2) | (bytes[at + half + 1] & 3);
    }
    if (dtype === 'MXFP4') bytes[at] = 118 + (bytes[at] % 12);
  }
  return bytes;
}
