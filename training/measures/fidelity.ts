/** Measures: how faithful and how sparse the transcoders are, on sentences that no training saw. */
import * as tf from '@tensorflow/tfjs-core';
import { batchOf } from '../../src/training/batch.ts';
import { capturingPass, rowsAt } from '../../src/training/capture.ts';
import type { LoadedSubject } from '../../src/training/loaded.ts';
import { predictionLoss } from '../../src/training/pass.ts';
import { replacedPass, withOutputs } from '../../src/training/replaced-pass.ts';
import { decode, encode } from '../../src/training/transcoder-parameters.ts';

export interface LayerFidelity {
  readonly explained_variance: number;
  /** Active features a token. */
  readonly L0: number;
  /** Percent of features silent on all rows. */
  readonly dead: number;
}

export interface Fidelity {
  readonly rows: number;
  readonly loss: number;
  readonly loss_replaced: number;
  /** All MLPs write 0. */
  readonly loss_zero: number;
  /** (zero − replaced) / (zero − model) */
  readonly recovered: number;
  readonly layers: readonly LayerFidelity[];
}

const ROWS = 100;

export async function measureFidelity(
  { model, transcoders }: LoadedSubject,
  rows: readonly (readonly number[])[],
): Promise<Fidelity> {
  const { d_model } = model.config;
  const sums = { model: 0, replaced: 0, zero: 0, tokens: 0, inner: 0 };
  const layers = transcoders.map(({ b_enc }) => ({
    error: 0,
    square: 0,
    sum: new Float64Array(d_model),
    counts: new Float64Array(b_enc.shape[0]),
  }));
  for (let from = 0; from < rows.length; from += ROWS) {
    const batch = batchOf(rows.slice(from, from + ROWS));
    const n = batch.places.length;
    const values = tf.tidy(() => {
      const wanted = { places: batch.places, targets: batch.targets, n_silent: 0 };
      const plain = capturingPass(model, batch);
      const losses = [
        plain.residual,
        replacedPass(model, transcoders, batch, plain),
        withOutputs(model, batch, plain, (_layer, input) => tf.zerosLike(input)),
      ].map((residual) => predictionLoss(model, residual, wanted));
      const perLayer = transcoders.flatMap((transcoder, l) => {
        const y = rowsAt(plain.outputs[l]!, batch.inner);
        const features = encode(transcoder, rowsAt(plain.inputs[l]!, batch.inner));
        const error = tf.sum(tf.square(tf.sub(y, decode(transcoder, features))));
        const active = tf.sum(tf.cast(tf.notEqual(features, tf.scalar(0)), 'float32'), 0);
        return [error, tf.sum(tf.square(y)), tf.sum(y, 0), active];
      });
      return [...losses, ...perLayer];
    });
    const numbers = await Promise.all(values.map(async (value) => await value.data<'float32'>()));
    for (const value of values) value.dispose();
    sums.model += numbers[0]![0]! * n;
    sums.replaced += numbers[1]![0]! * n;
    sums.zero += numbers[2]![0]! * n;
    sums.tokens += n;
    sums.inner += batch.inner.length;
    for (const [l, layer] of layers.entries()) {
      const [error, square, sum, counts] = numbers.slice(3 + 4 * l, 7 + 4 * l);
      layer.error += error![0]!;
      layer.square += square![0]!;
      for (let i = 0; i < d_model; i++) layer.sum[i]! += sum![i]!;
      for (const [f, count] of counts!.entries()) layer.counts[f]! += count;
    }
  }
  const [loss, replaced, zero] = [sums.model, sums.replaced, sums.zero].map((sum) => sum / sums.tokens) as [
    number,
    number,
    number,
  ];
  return {
    rows: rows.length,
    loss,
    loss_replaced: replaced,
    loss_zero: zero,
    recovered: (zero - replaced) / (zero - loss),
    layers: layers.map(({ error, square, sum, counts }) => {
      const variance = square - sum.reduce((total, value) => total + value * value, 0) / sums.inner;
      return {
        explained_variance: 1 - error / variance,
        L0: counts.reduce((total, count) => total + count, 0) / sums.inner,
        dead: (100 * counts.filter((count) => count === 0).length) / counts.length,
      };
    }),
  };
}
