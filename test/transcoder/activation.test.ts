/** What a backend finds active, and activations as tensors, which have to choose the same features. */
import { expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import type { Backend } from '../../src/backend/backend.ts';
import type { Activation } from '../../src/transcoder/activations/activation.ts';
import { groupMax, positiveTopK, topK } from '../../src/transcoder/activations/choice.ts';
import { batchTopK, jumpRelu, positiveJumpRelu, relu } from '../../src/transcoder/activations/threshold.ts';
import { describeEachBackend } from '../support/backends.ts';

/** Activations [n][d], as the backend finds them. */
async function byFinding(
  backend: Backend,
  rows: readonly (readonly number[])[],
  { rule }: Activation,
): Promise<number[][]> {
  const before = tf.memory().numTensors;
  const finder = backend.entryFinder(rule);
  const pre = tf.tensor2d(rows.flat(), [rows.length, rows[0]!.length]);
  const entries = await finder.find(pre, 0);
  pre.dispose();
  finder[Symbol.dispose]();
  expect(tf.memory().numTensors).toBe(before);
  const activations = rows.map((row) => row.map(() => 0));
  entries.values.forEach((value, i) => (activations[entries.rows[i]!]![entries.columns[i]!] = value));
  return activations;
}

/** The same of some features, by tensors. */
async function byTensors(
  rows: readonly (readonly number[])[],
  activation: Activation,
  features?: readonly number[],
): Promise<number[][]> {
  const before = tf.memory().numTensors;
  const n = features?.length ?? rows[0]!.length;
  using activations = activation.on(features && Int32Array.from(features));
  expect(activations.needsAll).toBe(activation.needsAll);
  const given = activations.needsAll || !features ? rows : rows.map((row) => features.map((f) => row[f]!));
  const pre = tf.tensor2d(given.flat(), [rows.length, given[0]!.length]);
  const result = tf.tidy(() => activations.of(pre));
  const values = Array.from(await result.data());
  tf.dispose([pre, result]);
  activations[Symbol.dispose]();
  expect(tf.memory().numTensors).toBe(before);
  return rows.map((_, r) => values.slice(r * n, (r + 1) * n));
}

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describeEachBackend('TopK', (backend) => {
  it.each([
    { title: 'the largest, negative ones included', k: 3, row: [-1, 5, -2, 3, -3], found: [-1, 5, 0, 3, 0] },
    { title: 'of equal values the first', k: 2, row: [7, 1, 7, 7], found: [7, 0, 7, 0] },
    { title: 'of equal values at the cut the first', k: 3, row: [2, 2, 9, 2, 2], found: [2, 2, 9, 0, 0] },
    { title: 'exactly so many where all are equal', k: 2, row: [4, 4, 4, 4], found: [4, 4, 0, 0] },
    { title: 'all', k: 4, row: [1, -2, 3, -4], found: [1, -2, 3, -4] },
    { title: 'no more than there are', k: 9, row: [1, -2], found: [1, -2] },
    { title: 'NaN before any number', k: 2, row: [1, nan, 3, 2], found: [0, nan, 3, 0] },
    { title: 'NaN before infinity', k: 1, row: [inf, nan, 3], found: [0, nan, 0] },
    { title: 'the first of several NaN', k: 2, row: [nan, 5, nan, nan], found: [nan, 0, nan, 0] },
    { title: 'infinity before numbers', k: 2, row: [1, inf, -inf, 2], found: [0, inf, 0, 2] },
    { title: 'numbers before minus infinity', k: 2, row: [-inf, -5, -inf, -9], found: [0, -5, 0, -9] },
  ])('keeps $title', async ({ k, row, found }) => {
    expect(await byFinding(backend(), [row], topK(k))).toEqual([found]);
  });
});

describeEachBackend('ReLU before a choice', (backend) => {
  it.each([
    { title: 'TopK: fewer than k where fewer are greater than 0', activation: positiveTopK(3), row: [-1, 5, -2, 0, -3, -9], found: [0, 5, 0, 0, 0, 0] },
    { title: 'TopK: the k largest', activation: positiveTopK(2), row: [1, 5, 2, 4, -3, 4], found: [0, 5, 0, 4, 0, 0] },
    { title: 'GroupMax: the largest of each group', activation: groupMax(3), row: [1, 2, -3, 4, 6, 5], found: [0, 2, 0, 4, 6, 0] },
    { title: 'GroupMax: none of a group without positive values', activation: groupMax(3), row: [-1, -2, 0, 0, 6, 6], found: [0, 0, 0, 0, 6, 0] },
    { title: 'JumpReLU: nothing between a negative threshold and 0', activation: positiveJumpRelu(Float32Array.of(-2, -2, 1, 1, 0, 0)), row: [-1, 1, 1, 2, 0, -1], found: [0, 1, 0, 2, 0, 0] },
    { title: 'BatchTopK after training', activation: batchTopK(new Float32Array(6).fill(1.5)), row: [-1, 1, 1.5, 2, nan, 9], found: [0, 0, 0, 2, nan, 9] },
  ])('$title', async ({ activation, row, found }) => {
    expect(await byFinding(backend(), [row], activation)).toEqual([found]);
  }); // prettier-ignore
});

/** Few different values, so that many are equal; now and then such as a damaged encoder gives. */
const VALUE = fc.oneof(
  { arbitrary: fc.integer({ min: -3, max: 3 }).map((n) => n / 2), weight: 12 },
  { arbitrary: fc.constantFrom(nan, inf, -inf, -0), weight: 1 },
);
const D = 6; // groups of 1, 2, 3 and 6
const ROWS = fc.array(fc.array(VALUE, { minLength: D, maxLength: D }), { minLength: 1, maxLength: 4 });
const THRESHOLD = fc
  .array(fc.integer({ min: -2, max: 3 }), { minLength: D, maxLength: D })
  .map((t) => Float32Array.from(t, (n) => n / 2));
const K = fc.integer({ min: 1, max: D + 2 });
const ACTIVATION: fc.Arbitrary<Activation> = fc.oneof(
  K.map(topK),
  K.map(positiveTopK),
  fc.constantFrom(1, 2, 3, 6).map(groupMax),
  fc.constant(relu()),
  THRESHOLD.map((threshold) => jumpRelu(threshold)),
  THRESHOLD.map(positiveJumpRelu),
  THRESHOLD.map(batchTopK),
);

describeEachBackend('an activation', (backend) => {
  it('is the same in tensors as where it is found, ties and damage included', async () => {
    const features = fc.uniqueArray(fc.nat(D - 1), { minLength: 1, maxLength: D });
    await fc.assert(
      fc.asyncProperty(ROWS, ACTIVATION, features, async (rows, activation, chosen) => {
        const active = await byFinding(backend(), rows, activation);
        const expected = active.map((row) => chosen.map((f) => row[f]!));
        const found = await byTensors(rows, activation, chosen);
        const all = await byTensors(rows, activation);
        expect(all.map((row) => chosen.map((f) => row[f]! + 0))).toEqual(
          found.map((row) => row.map((v) => v + 0)),
        );
        expect(found.map((row) => row.map((value) => value + 0))).toEqual(
          expected.map((row) => row.map((value) => value + 0)), // 0 and -0 are both inactive
        );
      }),
      { numRuns: 300 },
    );
  });
});
