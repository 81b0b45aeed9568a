/** Backend, TensorFlow on a graphics card: entries of matrices, found on the card, and brought by one reading. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend.ts';
import type { Entries, EntryFinder, EntryRule } from '../entries.ts';
import { areLargest } from '../largest.ts';
import type { KernelBackend, RawOps } from './binding.ts';

/** Numbers of an entry: bits of its row and column, and its value. */
const ENTRY_NUMBERS = 3;

export class CardFinder implements EntryFinder {
  private readonly raw: RawOps;
  private readonly kernels: KernelBackend;
  private readonly rule: EntryRule;
  private readonly thresholds: tf.Tensor1D | null;

  constructor(raw: RawOps, kernels: KernelBackend, rule: EntryRule) {
    this.raw = raw;
    this.kernels = kernels;
    this.rule = rule;
    this.thresholds = rule.kind === 'above' ? tf.tensor1d(rule.thresholds) : null;
  }

  async find(matrix: Tensor2D, firstRow: number): Promise<Entries> {
    const found = tf.tidy(() => {
      // In front of the entries: whether all numbers are finite.
      const areFinite = tf.cast(tf.all(tf.isFinite(matrix)), 'float32');
      const head = tf.pad(tf.reshape<tf.Rank.R2>(areFinite, [1, 1]), [[0, 0], [0, ENTRY_NUMBERS - 1]]); // prettier-ignore
      return tf.concat([head, this.entries(tf.slice(matrix, [firstRow, 0]))]);
    });
    const numbers = await found.data<'float32'>();
    found.dispose();
    const bits = new Int32Array(numbers.buffer, numbers.byteOffset, numbers.length);
    const n = numbers.length / ENTRY_NUMBERS - 1;
    const at = (i: number, field: number): number => (i + 1) * ENTRY_NUMBERS + field;
    return {
      rows: Int32Array.from({ length: n }, (_, i) => firstRow + bits[at(i, 0)]!),
      columns: Int32Array.from({ length: n }, (_, i) => bits[at(i, 1)]!),
      values: Float32Array.from({ length: n }, (_, i) => numbers[at(i, 2)]!),
      areAllFinite: numbers[0] === 1,
    };
  }

  /** As `RawOps.entries` gives them, [n, 3]. */
  private entries(matrix: Tensor2D): Tensor2D {
    const { raw, kernels } = this;
    const isWanted = tf.logicalAnd(this.areChosen(matrix), tf.notEqual(matrix, 0));
    const [matrixId, wantedId] = kernels.getInputTensorIds([matrix, isWanted]) as [number, number];
    const { id, n } = raw.entries(matrixId, wantedId);
    return kernels.createOutputTensor({ id, shape: [n, ENTRY_NUMBERS], dtype: raw.FLOAT }) as Tensor2D;
  }

  private areChosen(matrix: Tensor2D): Tensor2D {
    const { rule } = this;
    // NaN is not `<=` anything.
    if (rule.kind === 'above') return tf.logicalNot(tf.lessEqual<Tensor2D>(matrix, this.thresholds!));
    const [n, columns] = matrix.shape;
    const groups = tf.reshape<tf.Rank.R2>(matrix, [n * rule.groups, columns / rule.groups]);
    const areChosen = tf.reshape<tf.Rank.R2>(areLargest(groups, rule.kept), [n, columns]);
    return rule.isPositive ? tf.logicalAnd(areChosen, tf.logicalNot(tf.less(matrix, 0))) : areChosen;
  }

  [Symbol.dispose](): void {
    this.thresholds?.dispose();
  }
}
