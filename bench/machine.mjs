/**
 * Benchmark: what this machine can do, measured with the product's own backend: matrix products, memory, cached files.
 *
 *   node bench/machine.mjs [--json] [--file FILE]
 *
 * Every bound and every comparison in `bench/run.mjs` is computed from these numbers, measured in the same run.
 */
import { open, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../dist/backend/select.js';
import { openFileSource } from '../dist/formats/byte-source.js';
import { SHAPE } from './shapes.mjs';

const MIB = 2 ** 20;
const BUFFER_BYTES = 512 * MIB;
const ROUNDS = 7;
/** Rows of the products that are timed. */
const PRODUCT_ROWS = [5, 64, 256, 1024];

const { d_model, d_mlp } = SHAPE;

/** What `using` calls, also where Node has no such symbol of its own. */
const disposal = Symbol.dispose;

/** The best of several rounds: what the machine can do, where a median says what else it was doing. */
async function bestSeconds(work, rounds = ROUNDS) {
  let best = Infinity;
  for (let i = 0; i < rounds; i++) {
    const startMs = performance.now();
    await work();
    best = Math.min(best, (performance.now() - startMs) / 1000);
  }
  return best;
}

/** FLOP/s of a product x [M, 2304] × [2304, 9216], by M. */
async function productRates(multiply, rows) {
  const rates = {};
  for (const M of rows) {
    const x = tf.randomNormal([M, d_model]);
    const seconds = await bestSeconds(async () => {
      const product = multiply(x);
      await product.data();
      product.dispose();
    }, 2 * ROUNDS);
    x.dispose();
    rates[M] = (2 * M * d_model * d_mlp) / seconds;
  }
  return rates;
}

/** Of TensorFlow's own float32 product: the yardstick of all bounds. */
async function plainRates(rows) {
  const matrix = tf.randomNormal([d_model, d_mlp]);
  const rates = await productRates((x) => tf.matMul(x, matrix), rows);
  matrix.dispose();
  return rates;
}

/** Of the product's products with a bfloat16 matrix as it is stored in a checkpoint, x · Wᵀ. */
async function storedRates(backend, rows) {
  const bytes = new Uint8Array(new Uint16Array(d_mlp * d_model).map((_, i) => 0x3f00 + (i % 101)).buffer);
  const weight = await backend.loadWeight({
    name: 'stored',
    shape: [d_mlp, d_model],
    dtype: 'bfloat16',
    bytes,
  });
  const held = await weight.acquire();
  const rates = await productRates((x) => held.matMul(x, { transpose: true }), rows);
  weight[disposal]();
  return rates;
}

/** Bytes/s of reading memory, with all threads of TensorFlow: a sum over a large tensor. */
async function memoryReadRate() {
  const values = new Float32Array(BUFFER_BYTES / 4).fill(1);
  const tensor = tf.tensor1d(values);
  const seconds = await bestSeconds(async () => {
    const sum = tf.sum(tensor);
    await sum.data();
    sum.dispose();
  });
  tensor.dispose();
  return BUFFER_BYTES / seconds;
}

/** Bytes copied a second by one thread, between buffers that are in use already. */
async function memoryCopyRate() {
  const [from, to] = [Buffer.alloc(BUFFER_BYTES, 1), Buffer.alloc(BUFFER_BYTES, 2)];
  return BUFFER_BYTES / (await bestSeconds(() => from.copy(to)));
}

/** Bytes/s from a file in the page cache, through the product's reader: into memory in use already, and into fresh memory. */
async function fileReadRates(file) {
  const source = await openFileSource(file);
  const byteLength = Math.min(source.size, BUFFER_BYTES);
  const target = Buffer.alloc(byteLength, 1);
  const warm = await bestSeconds(() => source.read(0, target));
  // allocUnsafeSlow: memory that the system has not given yet; every page costs a fault and a clearing.
  const fresh = await bestSeconds(() => source.read(0, Buffer.allocUnsafeSlow(byteLength)));
  source[Symbol.dispose]();
  return { cached_file: byteLength / warm, cached_file_to_fresh_memory: byteLength / fresh };
}

/** As `fileReadRates`, of a file that is made for it. */
async function scratchFileReadRates() {
  const file = path.join(os.tmpdir(), `bench-machine-${process.pid}`);
  try {
    await writeFile(file, Buffer.alloc(BUFFER_BYTES / 2, 1));
    return await fileReadRates(file);
  } finally {
    await rm(file, { force: true });
  }
}

function processorFlags(text) {
  const flags = /^flags\s*:(.*)$/m.exec(text)?.[1]?.split(' ') ?? [];
  return ['avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'].filter((flag) => flags.includes(flag));
}

async function describeProcessor() {
  const [cpu] = os.cpus();
  const info = await open('/proc/cpuinfo').then(
    async (handle) => {
      const text = await handle.readFile('utf8');
      await handle.close();
      return text;
    },
    () => '', // other systems than Linux
  );
  return {
    processor: cpu?.model ?? 'unknown',
    cores: os.cpus().length,
    instructions: processorFlags(info),
    memory_bytes: os.totalmem(),
  };
}

/**
 * Rates in FLOP/s and bytes/s.
 * @param options `file`: a large file to read, else one is made; `rows`: further numbers of rows of x to multiply
 */
export async function measureMachine({ file, rows = [] } = {}) {
  const { backend } = await selectBackend({ device: 'cpu', arithmetic: 'float32' });
  const all = [...new Set([...PRODUCT_ROWS, ...rows])].sort((a, b) => a - b);
  const products = await plainRates(all);
  const stored_products = await storedRates(backend, all);
  const memory = { read: await memoryReadRate(), copy: await memoryCopyRate() };
  const isLarge = file !== undefined && (await stat(file)).size >= BUFFER_BYTES / 2;
  const files = isLarge ? await fileReadRates(file) : await scratchFileReadRates();
  return {
    ...(await describeProcessor()),
    engine: backend.version,
    kernel: backend.kernel,
    products,
    stored_products,
    memory,
    files,
  };
}

export function printMachine(machine) {
  const gigabytes = (rate) => `${(rate / 1e9).toFixed(1)} GB/s`;
  const speed = (M, rate) => {
    const ms = ((2 * M * d_model * d_mlp) / rate) * 1000;
    return `${(rate / 1e9).toFixed(0).padStart(5)} GFLOP/s  ${ms.toFixed(1).padStart(7)} ms`;
  };
  const lines = [
    `${machine.processor}, ${machine.cores} cores, ${machine.instructions.join(' ')}, ${machine.engine}`,
    `product [M, ${d_model}] × [${d_model}, ${d_mlp}]: TensorFlow's in float32; with a stored bfloat16 matrix (${machine.kernel ?? 'widened'}):`,
    ...Object.entries(machine.products).map(
      ([M, rate]) => `  M = ${M.padEnd(5)} ${speed(M, rate)}   ${speed(M, machine.stored_products[M])}`,
    ),
    `memory: read ${gigabytes(machine.memory.read)}, copied by one thread ${gigabytes(machine.memory.copy)}`,
    `cached file: ${gigabytes(machine.files.cached_file)}, into fresh memory ${gigabytes(machine.files.cached_file_to_fresh_memory)}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values: options } = parseArgs({
    options: { json: { type: 'boolean', default: false }, file: { type: 'string' } },
  });
  const machine = await measureMachine({ file: options.file });
  if (options.json) process.stdout.write(`${JSON.stringify(machine, null, 2)}\n`);
  else printMachine(machine);
}
