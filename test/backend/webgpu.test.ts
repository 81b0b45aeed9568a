/** What is WebGPU's own: split matrices, buffers that are used again, and failures of the device. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { ExhaustedError, NotFoundError } from '../../src/errors.ts';
import type { WeightSource } from '../../src/backend/backend.ts';
import { weightsOf } from '../../src/backend/weight.ts';
import { BufferPool } from '../../src/backend/webgpu/buffer-pool.ts';
import { openAdapter, openDevice, type OpenedDevice } from '../../src/backend/webgpu/device.ts';
import { webgpuEngine } from '../../src/backend/webgpu/engine.ts';
import { DeviceFaults } from '../../src/backend/webgpu/faults.ts';
import { loadKernels, type Kernels } from '../../src/backend/webgpu/kernels.ts';
import { DeviceFinder } from '../../src/backend/webgpu/entries.ts';
import { DeviceSum } from '../../src/backend/webgpu/matrix-sum.ts';
import { requireHardware, requireRoom } from '../../src/backend/webgpu/worth.ts';
import { selectBackend } from '../../src/backend/select.ts';
import { memorySource, product, transposed, WEIGHT_TYPES, wholeNumbers } from '../support/matrices.ts';
import { readings } from '../support/readings.ts';
import { expectExact, multiply, tensorOf, valuesOf } from '../support/weights.ts';

const isHere = process.env['VK_DRIVER_FILES'] !== undefined;
const title = isHere ? 'WebGPU' : 'WebGPU (skipped: VK_DRIVER_FILES names no Vulkan driver)';

(isHere ? describe : describe.skip)(title, () => {
  let opened: OpenedDevice;
  let kernels: Kernels;
  let pool: BufferPool;

  beforeAll(async () => {
    const { adapter, dawn } = await openAdapter();
    opened = await openDevice(adapter, dawn);
    pool = new BufferPool(opened.device);
    kernels = loadKernels(opened, pool, new DeviceFaults(opened.device, 'test')).kernels;
    tf.registerBackend('webgpu', () => kernels); // the name of its kernels
    await tf.setBackend('webgpu');
  });

  afterAll(() => tf.removeBackend('webgpu'));

  it.each(WEIGHT_TYPES.flatMap((dtype) => [false, true].map((isTransposed) => ({ dtype, isTransposed }))))(
    'multiplies a $dtype matrix that is split over buffers (stored transposed: $isTransposed)',
    async ({ dtype, isTransposed }) => {
      const W = wholeNumbers(45, 39, 5);
      // Four rows of the matrix in each buffer.
      const weights = weightsOf(webgpuEngine(kernels, 4 * 45 * (dtype === 'float32' ? 4 : 2)));
      using weight = await weights.loadWeight(memorySource(W, dtype, isTransposed));
      for (const n of [1, 20]) {
        const [x, y] = [wholeNumbers(n, 45, 6), wholeNumbers(n, 39, 7)];
        expectExact(await multiply(weight, x, false), product(x, W).exact);
        expectExact(await multiply(weight, y, true), product(y, transposed(W)).exact);
      }
      const picked = [44, 0, 21, 44];
      const expected = picked.flatMap((row) => Array.from(W.values.subarray(row * 39, (row + 1) * 39)));
      expectExact(await valuesOf(await weight.rows(Int32Array.from(picked))), expected);
    },
  );

  it('reads the entries of a sparse matrix once, and a sixteenth of its bytes', async () => {
    const [n, columns] = [16, 8192];
    using finder = new DeviceFinder(kernels, { kind: 'above', thresholds: Float32Array.of(0.5) });
    for (const [every, nReadings] of [
      [100, 1],
      [3, 2],
      [3, 1],
    ] as const) {
      // prettier-ignore
      const isEntry = (i: number): boolean => i % every === 0;
      const numbers = Float32Array.from({ length: n * columns }, (_, i) => (isEntry(i) ? 1 : 0));
      const matrix = tf.tensor2d(numbers, [n, columns]);
      const bytes = await readings(kernels, async () => {
        const { columns: found, rows } = await finder.find(matrix, 0);
        expect(found).toHaveLength(Math.ceil((n * columns) / every));
        expect(found.every((column, i) => isEntry(rows[i]! * columns + column))).toBe(true);
      });
      matrix.dispose();
      expect(bytes).toHaveLength(nReadings);
      if (every === 100) expect(bytes[0]! * 15).toBeLessThan(numbers.byteLength);
    }
  });

  it('adds matrices to a sum that is split over buffers', async () => {
    const [rows, columns] = [7, 10];
    using sum = new DeviceSum(kernels, [rows, columns], 2 * columns * 4); // two rows in each buffer
    const expected = new Float32Array(rows * columns);
    for (const [firstRow, n] of [
      [0, 7],
      [1, 2],
      [3, 4],
      [6, 1],
    ] as const) {
      // prettier-ignore
      const added = wholeNumbers(n, columns, firstRow + 1);
      const matrix = tensorOf(added);
      await sum.add(matrix, [Int32Array.from({ length: columns }, (_, i) => columns - 1 - i)], firstRow);
      matrix.dispose();
      added.values.forEach((value, at) => {
        expected[(firstRow + Math.floor(at / columns)) * columns + columns - 1 - (at % columns)]! += value;
      });
    }
    expect(await sum.read()).toEqual(expected);
  });

  it('leaves no buffer behind in 200 runs, whatever their lengths', async () => {
    const weights = weightsOf(webgpuEngine(kernels));
    const [W, E] = [wholeNumbers(12, 16, 1), wholeNumbers(30, 12, 2)];
    using kept = await weights.loadWeight(memorySource(W, 'bfloat16', false));
    using streamed = weights.streamWeight(memorySource(E, 'float16', false));
    const run = async (length: number): Promise<void> => {
      using embedding = await streamed.acquire();
      using held = await kept.acquire();
      const result = tf.tidy(() => {
        const x = embedding.rows(Int32Array.from({ length }, (_, i) => i % 30));
        return tf.softmax(tf.add(held.matMul(x), 1));
      });
      await result.data();
      result.dispose();
    };
    const counts = () => [pool.nUsed, pool.numBytesUsed, tf.memory().numTensors, kernels.numDataIds()];
    await run(5);
    const before = counts();
    for (let i = 0; i < 200; i++) await run(1 + (i % 40));
    expect(counts()).toEqual(before);
  });

  it('frees buffers out of use beyond a limit, those of the oldest size first', () => {
    const small = new BufferPool(opened.device, 1000);
    const usage = 0x80; // STORAGE
    const [first, second, third] = [400, 500, 600].map((size) => small.acquireBuffer(size, usage));
    for (const buffer of [first!, second!]) small.releaseBuffer(buffer);
    expect([small.nUsed, small.numBytesUsed, small.numBytesAllocated]).toEqual([1, 600, 1500]);
    small.releaseBuffer(third!); // 1500 bytes out of use: 400 and 500 have to go
    expect([small.nUsed, small.numBytesAllocated]).toEqual([0, 600]);
    expect(small.acquireBuffer(600, usage)).toBe(third);
    expect(() => small.releaseBuffer(first!)).toThrow('not in use');
    small.dispose();
  });

  it('has no memory for what is larger than any buffer, says so at once, and works afterwards', async () => {
    const { maxBufferSize } = opened.device.limits;
    for (const numbers of [1e11, 1e9, maxBufferSize / 4 + 1]) {
      const exhausted = expect.objectContaining({ code: 'device_memory', exitCode: 5 });
      const before = [pool.nUsed, tf.memory().numTensors];
      expect(() => tf.tidy(() => void tf.add(tf.fill([numbers], 1), 1))).toThrow(exhausted);
      expect(() => pool.acquireBuffer(numbers * 4, 0x80, true)).toThrow(/largest buffer has \d+ bytes/);
      await expect(
        weightsOf(webgpuEngine(kernels, Infinity)).loadWeight(absurd(numbers)),
      ).rejects.toMatchObject({ code: 'device_memory', exitCode: 5 });
      expect([pool.nUsed, tf.memory().numTensors]).toEqual(before);
    }
    expect(await valuesOf(tf.add(tf.zeros([8]), 1))).toEqual(Array(8).fill(1));
  });

  it('reports what the device refused at the next reading, and works afterwards', async () => {
    const x = tf.zeros([8]);
    kernels.device.createBuffer({ size: opened.device.limits.maxBufferSize + 4, usage: 0x80 });
    await expect(tf.add(x, 1).data()).rejects.toThrow(/device \(test\) refused.*max buffer size/s);
    expect(await valuesOf(tf.add(x, 1))).toEqual(Array(8).fill(1));
    x.dispose();
  });

  it('is not what auto takes where the adapter computes on the processor or has no room', async () => {
    expect(() => requireHardware({ ...named, isFallbackAdapter: true } as GPUAdapterInfo)).toThrow(
      NotFoundError,
    );
    requireHardware({ ...named, isFallbackAdapter: false } as GPUAdapterInfo);
    const { refused } = await selectBackend({ device: 'auto', arithmetic: 'float32' });
    expect(refused.find(({ device }) => device === 'webgpu')?.reason).toMatch(/processor|graphics card/);
    await requireRoom(deviceWithRoomFor(10), 9e8);
    const refusal = requireRoom(deviceWithRoomFor(1), 9e8);
    await expect(refusal).rejects.toBeInstanceOf(ExhaustedError);
    await expect(refusal).rejects.toThrow(/card has room for 536870912 of 900000000 bytes/);
  });

  it('fails with a clear error for ever when the device is lost', async () => {
    const { adapter, dawn } = await openAdapter();
    const other = await openDevice(adapter, dawn);
    const faults = new DeviceFaults(other.device, 'test');
    const lost = loadKernels(other, new BufferPool(other.device), faults).kernels;
    tf.removeBackend('webgpu');
    tf.registerBackend('webgpu', () => lost);
    await tf.setBackend('webgpu');
    const x = tf.zeros([2000]);
    other.device.destroy();
    for (let i = 0; i < 2; i++)
      await expect(tf.add(x, 1).data()).rejects.toMatchObject({ code: 'device_lost', exitCode: 5 });
  });
});

/** A matrix of one row, larger than can be read. */
function absurd(columns: number): WeightSource {
  const refuse = () => Promise.reject(new Error('it was read'));
  return { name: 'absurd', shape: [1, columns], dtype: 'float32', readInto: refuse, readRows: refuse };
}

const named = { vendor: 'v', architecture: 'a', device: 'd', description: 'card' };

/** A device that refuses the allocation after `nBuffers`. */
function deviceWithRoomFor(nBuffers: number): OpenedDevice {
  let left = nBuffers;
  const scopes: (GPUError | null)[] = [];
  const device = {
    limits: { maxBufferSize: 2 ** 30, maxStorageBufferBindingSize: 2 ** 30 },
    pushErrorScope: () => scopes.push(null),
    popErrorScope: () => Promise.resolve(scopes.pop()),
    createBuffer({ size }: { size: number }) {
      left -= 1;
      if (left < 0) scopes[scopes.length - 1] = { message: 'none left' };
      return { size, destroy: () => undefined };
    },
    destroy: () => undefined,
  };
  return { device, info: named, globals: {} } as unknown as OpenedDevice;
}
