/** Backend, WebGPU: the adapters of this machine and what they can hold, for `tracer doctor`. */
import type { Backend, WeightSource } from '../backend.ts';
import * as tf from '@tensorflow/tfjs-core';
import { adapterName, openAdapter, openAdapters } from './device.ts';

/** Bytes are bytes. */
export interface AdapterFinding {
  /** What the driver says of itself. */
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  /** It computes on the processor: `--device auto` does not take it. */
  readonly is_software: boolean;
  /** The one that `--device webgpu` takes. */
  readonly is_taken: boolean;
  readonly max_buffer_bytes: number;
  /** Of a buffer that a shader reads: larger weights are split. */
  readonly max_binding_bytes: number;
  readonly max_workgroup_bytes: number;
}

/** WebGPU offers one adapter for each preference; equal ones are listed once, the one that is taken first. */
export async function listAdapters(): Promise<AdapterFinding[]> {
  const { adapter: taken } = await openAdapter();
  const found = new Map<string, AdapterFinding>();
  for (const adapter of [taken, ...(await openAdapters())]) {
    const { info, limits } = adapter;
    const key = [info.vendor, info.architecture, info.device, info.description].join();
    if (found.has(key)) continue;
    found.set(key, {
      name: adapterName(info),
      vendor: info.vendor,
      architecture: info.architecture,
      is_software: info.isFallbackAdapter,
      is_taken: adapter === taken,
      max_buffer_bytes: limits.maxBufferSize,
      max_binding_bytes: limits.maxStorageBufferBindingSize,
      max_workgroup_bytes: limits.maxComputeWorkgroupStorageSize,
    });
  }
  return [...found.values()];
}

/** Rows of x, and rows and columns of the matrix, of the product that is measured. */
const [ROWS, WIDTH] = [64, 512];
const SHORTEST_MEASUREMENT_MS = 100;

/**
 * Multiplications and additions a second of products with a bfloat16 matrix. The first one, which compiles shaders, is not counted; the
 * others are given to the device together, more and more until they take long enough.
 */
export async function measureProducts(backend: Backend): Promise<number> {
  using weight = await backend.loadWeight(zeros(WIDTH, WIDTH));
  using held = await weight.acquire();
  const x = tf.zeros<tf.Rank.R2>([ROWS, WIDTH]);
  const secondsOf = async (n: number): Promise<number> => {
    const start = performance.now();
    for (let i = 1; i < n; i++) held.matMul(x).dispose();
    const last = held.matMul(x);
    await last.data();
    last.dispose();
    return (performance.now() - start) / 1000;
  };
  await secondsOf(1);
  let n = 1;
  let seconds = await secondsOf(n);
  while (seconds * 1000 < SHORTEST_MEASUREMENT_MS) seconds = await secondsOf((n *= 4));
  x.dispose();
  return (n * 2 * ROWS * WIDTH * WIDTH) / seconds;
}

function zeros(rows: number, columns: number): WeightSource {
  const noFile = (): Promise<never> => Promise.reject(new Error('the bytes are in memory'));
  const bytes = new Uint8Array(rows * columns * 2);
  return {
    name: 'zeros',
    shape: [rows, columns],
    dtype: 'bfloat16',
    bytes,
    readInto: noFile,
    readRows: noFile,
  };
}
