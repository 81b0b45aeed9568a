/** A graphics card for TensorFlow: which one it sees, its matrices in blocks (computed on the processor here), and who holds what. */
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { NotFoundError } from '../../src/errors.ts';
import { budgetFor, MemoryBudget } from '../../src/backend/budget.ts';
import { parseCards, setCard, type CudaCardFinding } from '../../src/backend/cuda-cards.ts';
import { holdWeight } from '../../src/backend/hold.ts';
import { isSetUp, tensorflowFolder } from '../../src/backend/install/folder.ts';
import type { EntryRule } from '../../src/backend/entries.ts';
import { hostFinder } from '../../src/backend/host-entries.ts';
import { hostSum } from '../../src/backend/host-sum.ts';
import { RawOps, type KernelBackend } from '../../src/backend/tensorflow/binding.ts';
import { CardFinder } from '../../src/backend/tensorflow/card-entries.ts';
import { CardSum } from '../../src/backend/tensorflow/card-sum.ts';
import { cardEngine } from '../../src/backend/tensorflow/card-engine.ts';
import { loadTensorflow } from '../../src/backend/tensorflow/load.ts';
import { weightsOf } from '../../src/backend/weight.ts';
import type { Backend, WeightSource } from '../../src/backend/backend.ts';
import { memorySource, product, transposed, WEIGHT_TYPES, wholeNumbers } from '../support/matrices.ts';
import { openBackend } from '../support/backends.ts';
import { expectExact, multiply, tensorOf, valuesOf } from '../support/weights.ts';

const folder = tensorflowFolder('cpu');
const isHere = isSetUp(folder) && process.env['DEVICE'] !== 'webgpu' && process.env['DEVICE'] !== 'wasm';

(isHere ? describe : describe.skip)('matrices of a card', () => {
  let weights: ReturnType<typeof weightsOf>;
  let raw: RawOps;
  let kernels: KernelBackend;

  beforeAll(async () => {
    await openBackend('cpu');
    const loaded = loadTensorflow(folder, false);
    kernels = loaded.kernels;
    raw = new RawOps(loaded.binding);
    // Four rows of 45 numbers, or four of 39, in a block.
    weights = weightsOf(cardEngine({ raw, kernels, arithmetic: 'float32' }, 4 * 45));
  });

  const cases = WEIGHT_TYPES.flatMap((dtype) =>
    [false, true].map((isTransposed) => ({ dtype, isTransposed })),
  );
  it.each(cases)('multiplies blocks of $dtype (stored transposed: $isTransposed)', async (way) => {
    const W = wholeNumbers(45, 39, 5);
    using weight = await weights.loadWeight(memorySource(W, way.dtype, way.isTransposed));
    for (const n of [1, 20, 300]) {
      const [x, y] = [wholeNumbers(n, 45, 6), wholeNumbers(n, 39, 7)];
      expectExact(await multiply(weight, x, false), product(x, W).exact);
      expectExact(await multiply(weight, y, true), product(y, transposed(W)).exact);
    }
    for (const picked of [[44, 0, 21, 44], [3], [5, 4]]) {
      const expected = picked.flatMap((row) => Array.from(W.values.subarray(row * 39, (row + 1) * 39)));
      expectExact(await valuesOf(await weight.rows(Int32Array.from(picked))), expected);
    }
  });

  it.each<EntryRule>([
    { kind: 'above', thresholds: Float32Array.of(2) },
    { kind: 'above', thresholds: Float32Array.from({ length: 40 }, (_, i) => (i % 9) - 4) },
    { kind: 'largest', kept: 3, groups: 1, isPositive: false },
    { kind: 'largest', kept: 2, groups: 8, isPositive: true },
  ])('finds entries as the processor does, in one reading ($kind)', async (rule) => {
    const { values } = wholeNumbers(6, 40, 3);
    for (const odd of [1, NaN, -Infinity]) {
      const matrix = tf.tensor2d(Float32Array.from(values).fill(odd, 77, 78), [6, 40]);
      const before = tf.memory().numTensors;
      using finder = new CardFinder(raw, kernels, rule);
      const read = jest.spyOn(tf.backend(), 'read');
      const found = await finder.find(matrix, 1);
      expect(read).toHaveBeenCalledTimes(1);
      read.mockRestore();
      expect(found).toEqual(await hostFinder(rule).find(matrix, 1));
      finder[Symbol.dispose]();
      expect(tf.memory().numTensors).toBe(before);
      matrix.dispose();
    }
  });

  it('sums matrices as the processor does', async () => {
    const before = tf.memory().numTensors;
    using sum = new CardSum(7, 10);
    const expected = hostSum(7, 10);
    const parts = [Int32Array.of(3, 1), Int32Array.of(), Int32Array.of(9), Int32Array.of(1, 3)];
    for (const [firstRow, n] of [
      [0, 7],
      [2, 3],
      [6, 1],
    ] as const) {
      // prettier-ignore
      const matrix = tensorOf(wholeNumbers(n, 5, firstRow + 1));
      for (const each of [sum, expected]) await each.add(matrix, parts, firstRow);
      matrix.dispose();
    }
    expect(await sum.read()).toEqual(await expected.read());
    sum[Symbol.dispose]();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('reads a matrix piece by piece, and each piece once', async () => {
    const W = wholeNumbers(45, 39, 5);
    const whole = memorySource(W, 'bfloat16', false);
    const pieces: number[] = [];
    const source: WeightSource = {
      ...whole,
      readInto(target, rows) {
        pieces.push(rows.stop - rows.start);
        return whole.readInto(target, rows);
      },
    };
    using weight = await weights.loadWeight(source);
    expect(pieces).toEqual([...new Array<number>(11).fill(4), 1]);
    const x = wholeNumbers(3, 45, 6);
    expectExact(await multiply(weight, x, false), product(x, W).exact);
    expect(weight.heldBytes).toBe(45 * 39 * 2);
  });
});

const CARDS: CudaCardFinding[] = parseCards(
  '0, NVIDIA H200, GPU-aa, 143771, 143000\n1, NVIDIA L4, GPU-bb, 23034, [N/A]\n',
);

describe('the choice of a card', () => {
  it('reads what nvidia-smi prints', () => {
    expect(CARDS).toEqual([
      {
        index: 0,
        name: 'NVIDIA H200',
        uuid: 'GPU-aa',
        total_bytes: 143771 * 2 ** 20,
        free_bytes: 143000 * 2 ** 20,
      },
      { index: 1, name: 'NVIDIA L4', uuid: 'GPU-bb', total_bytes: 23034 * 2 ** 20, free_bytes: 0 },
    ]);
  });

  it('shows TensorFlow one card, in the order of the bus and with exact products', () => {
    const env: NodeJS.ProcessEnv = {};
    setCard(env, 1, CARDS);
    expect(env).toEqual({
      CUDA_VISIBLE_DEVICES: '1',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
      NVIDIA_TF32_OVERRIDE: '0',
    });
  });

  it('counts within CUDA_VISIBLE_DEVICES, and keeps what the user set', () => {
    const env: NodeJS.ProcessEnv = { CUDA_VISIBLE_DEVICES: 'GPU-bb, GPU-aa', NVIDIA_TF32_OVERRIDE: '1' };
    setCard(env, 1, CARDS);
    expect(env).toMatchObject({ CUDA_VISIBLE_DEVICES: 'GPU-aa', NVIDIA_TF32_OVERRIDE: '1' });
  });

  it.each([
    [2, {}, /no card cuda:2 \(cuda:0 is NVIDIA H200, cuda:1 is NVIDIA L4\)/],
    [1, { CUDA_VISIBLE_DEVICES: '0' }, /no card cuda:1 \(.*of which CUDA_VISIBLE_DEVICES shows 0\)/],
    [0, { CUDA_VISIBLE_DEVICES: '' }, /no card cuda:0/],
  ])('refuses card %d with %j', (card, env, message) => {
    const refused = () => setCard({ ...env }, card, CARDS);
    expect(refused).toThrow(NotFoundError);
    expect(refused).toThrow(message);
  });
});

describe('budgets beside a device with memory of its own', () => {
  const backend = (free: number | undefined) => ({
    hasOwnMemory: true,
    freeDeviceBytes: () => Promise.resolve(free),
  });

  it('is what was asked for, else three quarters of what is free, else as of the machine', async () => {
    const limits = { maxMemoryBytes: 700 };
    expect((await budgetFor(backend(400), { ...limits, maxDeviceMemoryBytes: 50 }, 10)).totalBytes).toBe(50);
    const budget = await budgetFor(backend(400), limits, 10);
    expect([budget.totalBytes, budget.host?.totalBytes]).toEqual([300, 700]);
    expect((await budgetFor(backend(undefined), limits, 10)).totalBytes).toBe(700);
    const own = await budgetFor({ ...backend(400), hasOwnMemory: false }, limits, 10);
    expect([own.totalBytes, own.host]).toEqual([700, undefined]);
  });

  it('keeps weights on the device, then in memory of the machine, then in the file', async () => {
    const W = wholeNumbers(4, 6, 1);
    let nReadings = 0;
    const whole = memorySource(W, 'float32', false);
    const source = (): WeightSource => ({
      ...whole,
      readInto(target, rows) {
        nReadings += 1;
        return whole.readInto(target, rows);
      },
      readRows: () => Promise.reject(new Error('rows come from the copy here')),
    });
    const backend: Backend = await openBackend(isHere ? 'cpu' : 'wasm');
    const budget = new MemoryBudget(100, new MemoryBudget(100));
    const x = wholeNumbers(2, 4, 2);
    const readings: number[] = [];
    const held: number[] = [];
    for (let i = 0; i < 3; i++) {
      using weight = await holdWeight(backend, budget, source(), false);
      nReadings = 0;
      for (let use = 0; use < 3; use++) expectExact(await multiply(weight, x, false), product(x, W).exact);
      readings.push(nReadings);
      held.push(weight.heldBytes);
      if (i < 2) expectExact(await valuesOf(await weight.rows(Int32Array.of(2))), W.values.subarray(12, 18));
    }
    expect(readings).toEqual([1, 1, 3]);
    expect(held).toEqual([96, 0, 0]);
    expect([budget.usedBytes, budget.host!.usedBytes]).toEqual([96, 96]);
  });
});
