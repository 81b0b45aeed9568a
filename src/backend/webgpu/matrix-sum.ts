/** Backend, WebGPU: sums of matrices on the device, by a shader that adds columns to columns. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend.ts';
import type { MatrixSum } from '../matrix-sum.ts';
import { folded, GROUP, integers, programOf, runShader, type Dispatch } from './dispatch.ts';
import type { Kernels } from './kernels.ts';
import { largestPartBytes } from './storage.ts';

const FLOAT32_BYTES = 4;

/** Threads of a workgroup. */
const LANES = 64;

/** Some rows of a sum, as one buffer holds them. */
interface SumPart {
  /** Its first row is this one of the sum. */
  readonly start: number;
  readonly values: Tensor2D;
}

/** @param mostBytes of one buffer; a sum that has more is split between rows */
export class DeviceSum implements MatrixSum {
  private readonly kernels: Kernels;
  private readonly parts: readonly SumPart[];
  /** The last run that a column was in. */
  private readonly runOf: Int32Array;
  private nRuns = 0;

  constructor(
    kernels: Kernels,
    [rows, columns]: readonly [number, number],
    mostBytes: number = largestPartBytes(kernels.device),
  ) {
    this.kernels = kernels;
    this.runOf = new Int32Array(columns);
    const atOnce = Math.max(1, Math.floor(mostBytes / (columns * FLOAT32_BYTES)));
    this.parts = Array.from({ length: Math.ceil(rows / atOnce) }, (_, i) => {
      const start = i * atOnce;
      // Unlike `tf.zeros` it is filled on the device.
      return { start, values: tf.fill<tf.Rank.R2>([Math.min(atOnce, rows - start), columns], 0) };
    });
  }

  add(matrix: Tensor2D, columns: readonly Int32Array[], firstRow: number): Promise<void> {
    const { kernels } = this;
    const [n, width] = matrix.shape;
    let from = 0;
    for (const run of this.runs(columns)) {
      const targets = kernels.makeTensorInfo([run.length], 'int32', run);
      for (const { start, values } of this.parts) {
        const shift = firstRow - start;
        if (shift + n <= 0 || shift >= values.shape[0]) continue;
        const addition = additionTo(values.shape, shift, { n, width, from, count: run.length });
        runShader(kernels, addition, [matrix, targets], values);
      }
      kernels.disposeData(targets.dataId);
      from += run.length;
    }
    return Promise.resolve();
  }

  /** Parts joined as long as they have no column twice: threads that add to one number at a time would lose additions. */
  private runs(parts: readonly Int32Array[]): Int32Array[] {
    const runs: Int32Array[][] = [];
    for (const part of parts) {
      if (part.length === 0) continue;
      if (runs.length === 0 || part.some((column) => this.runOf[column] === this.nRuns)) {
        this.nRuns += 1;
        runs.push([]);
      }
      for (const column of part) this.runOf[column] = this.nRuns;
      runs.at(-1)!.push(part);
    }
    return runs.map(joined);
  }

  async read(): Promise<Float32Array> {
    const read = await Promise.all(this.parts.map(({ values }) => values.data<'float32'>()));
    if (read.length === 1) return read[0]!;
    const all = new Float32Array(read.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const values of read) {
      all.set(values, at);
      at += values.length;
    }
    return all;
  }

  [Symbol.dispose](): void {
    for (const { values } of this.parts) values.dispose();
  }
}

function joined(parts: readonly Int32Array[]): Int32Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Columns of a matrix [n, width] that are added. */
interface Added {
  readonly n: number;
  readonly width: number;
  readonly from: number;
  readonly count: number;
}

/** A thread for each number that is added; no two have one target. @param shift row of the part to which the first row is added */
function additionTo(
  [rows, columns]: readonly [number, number],
  shift: number,
  { n, width, from, count }: Added,
): Dispatch {
  const code = `${GROUP}
    fn main() {
      let thread = group() * ${LANES}u + localIndex;
      if (thread >= u32(uniforms.n) * u32(uniforms.count)) { return; }
      let own = i32(thread / u32(uniforms.count));
      let column = i32(thread % u32(uniforms.count));
      let row = uniforms.shift + own;
      if (row < 0 || row >= uniforms.rows) { return; }
      result[row * uniforms.columns + targets[column]] += x[own * uniforms.width + uniforms.first + column];
    }`;
  const uniforms = 'n: i32, width: i32, first: i32, count: i32, rows: i32, columns: i32, shift: i32,';
  return {
    program: {
      ...programOf('tracerAddition', uniforms, ['x', 'targets'], [rows * columns], code),
      dispatch: [...folded(Math.ceil((n * count) / LANES)), 1],
      workgroupSize: [LANES, 1, 1],
    },
    uniforms: integers(n, width, from, count, rows, columns, shift),
  };
}
