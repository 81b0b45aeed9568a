import { beforeAll, describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { join } from 'node:path';
import type { StepRecord } from '../../src/training/loop.ts';
import { modelOfVariables, modelParameters } from '../../src/training/model-parameters.ts';
import { Variables } from '../../src/training/parameters.ts';
import { Random } from '../../src/random.ts';
import { trainModel } from '../../src/training/train-model.ts';
import { trainTranscoders } from '../../src/training/train-transcoders.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { scratchFolder } from '../support/scratch.ts';
import { counting, SMALL } from './small.ts';

const OPTIMIZER = { beta1: 0.9, beta2: 0.98, weightDecay: 0.1, clipNorm: 1 };
const SETTINGS = { peakRate: 1e-2, optimizer: OPTIMIZER, rowsAStep: 16, n_silent: 3 };

function trained(options: { steps: number; checkpoint?: string; abortAt?: number; frozen?: number }) {
  const frozenEmbeddings = new Uint8Array(SMALL.d_vocab);
  if (options.frozen !== undefined) frozenEmbeddings[options.frozen] = 1;
  const parameters = modelParameters(SMALL, new Random(1), { frozenEmbeddings });
  const records: StepRecord[] = [];
  const control = new AbortController();
  const work = trainModel(SMALL, parameters, counting(2), {
    ...SETTINGS,
    steps: options.steps,
    ...(options.checkpoint && { checkpoint: options.checkpoint }),
    signal: control.signal,
    onStep: (record) => {
      records.push(record);
      if (record.step === options.abortAt) control.abort(new Error('interrupted'));
    },
  });
  return { parameters, records, work };
}

beforeAll(() => openBackend(TEST_DEVICES[0]!));

describe('training a model', () => {
  it('learns to count, keeps frozen rows, leaks no tensor, and repeats itself', async () => {
    const before = tf.memory().numTensors;
    const start = modelParameters(SMALL, new Random(1), {});
    const one = trained({ steps: 60, frozen: 5 });
    await one.work;
    const losses = one.records.map(({ loss }) => loss);
    expect(losses[0]).toBeGreaterThan(2);
    expect(losses.at(-1)).toBeLessThan(1.2); // the first token after the beginning cannot be known
    const { d_model } = SMALL;
    const row = (values: Float32Array, r: number) => Array.from(values.slice(r * d_model, (r + 1) * d_model));
    const [embedding, first] = [one.parameters[0]!.values, start[0]!.values];
    expect(row(embedding, 5)).toEqual(row(first, 5));
    expect(row(embedding, 6)).not.toEqual(row(first, 6));
    expect(tf.memory().numTensors).toBe(before);
    const again = trained({ steps: 60, frozen: 5 });
    await again.work;
    expect(again.records.at(-1)!.loss).toBeCloseTo(losses.at(-1)!, 3);
  });

  it('goes on from its checkpoint as if it had not been interrupted', async () => {
    using scratch = scratchFolder();
    const whole = trained({ steps: 120 });
    await whole.work;
    const checkpoint = join(scratch.path, 'state.safetensors');
    const broken = trained({ steps: 120, checkpoint, abortAt: 110 });
    await expect(broken.work).rejects.toThrow('interrupted');
    const resumed = trained({ steps: 120, checkpoint });
    await resumed.work;
    expect(resumed.records[0]!.step).toBe(101);
    expect(resumed.records.at(-1)!.loss).toBeCloseTo(whole.records.at(-1)!.loss, 3);
  });
});

describe('training transcoders', () => {
  it('rebuilds what the MLPs write from few features, with decoder rows of length 1', async () => {
    const { parameters, work } = trained({ steps: 40 });
    await work;
    using variables = new Variables(parameters);
    const records: StepRecord[] = [];
    const layers = await trainTranscoders(modelOfVariables(SMALL, variables), counting(5), {
      steps: 150,
      peakRate: 5e-3,
      optimizer: { ...OPTIMIZER, weightDecay: 0 },
      rowsAStep: 32,
      d_transcoder: 64,
      activeFeatures: 4,
      random: new Random(6),
      onStep: (record) => records.push(record),
    });
    const { measures } = records.at(-1)!;
    for (const layer of [0, 1]) {
      expect(measures[`EV${layer}`]).toBeGreaterThan(0.8);
      expect(measures[`L0_${layer}`]).toBeLessThan(5);
    }
    const lengths = Array.from({ length: 64 }, (_, f) =>
      Math.hypot(...layers[0]!.W_dec.values.subarray(f * SMALL.d_model, (f + 1) * SMALL.d_model)),
    );
    for (const length of lengths) expect(length).toBeCloseTo(1, 4);
    expect(new Set(layers[0]!.threshold.values).size).toBeGreaterThan(1);
  });
});
