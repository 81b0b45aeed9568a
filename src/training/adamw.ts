/** Training: AdamW (Loshchilov and Hutter, 2019) on plain arrays: one loop over the numbers instead of many small operations. */
import type { Parameter } from './parameters.ts';

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  /** Gradients altogether are scaled down to this length. */
  readonly clipNorm: number;
}

const EPSILON = 1e-8;

/** Running means of a parameter's gradient and of its square. */
export interface Moments {
  readonly mean: Float32Array;
  readonly square: Float32Array;
}

export class AdamW {
  readonly options: AdamWOptions;
  readonly moments = new Map<string, Moments>();
  steps = 0;

  constructor(options: AdamWOptions) {
    this.options = options;
  }

  /** Changes the parameters that have a gradient, and returns the length of all gradients before clipping. */
  step(
    parameters: readonly Parameter[],
    gradients: ReadonlyMap<string, Float32Array>,
    learningRate: number,
  ): number {
    this.steps++;
    for (const parameter of parameters) {
      const gradient = gradients.get(parameter.name);
      if (gradient) restrict(parameter, gradient);
    }
    let squares = 0;
    for (const gradient of gradients.values()) for (const g of gradient) squares += g * g;
    const norm = Math.sqrt(squares);
    const scale = norm > this.options.clipNorm ? this.options.clipNorm / norm : 1;
    for (const parameter of parameters) {
      const gradient = gradients.get(parameter.name);
      if (!gradient) continue;
      this.change(parameter, gradient, scale, learningRate * (parameter.rate ?? 1));
      if (parameter.unitRows) normalizeRows(parameter.values, parameter.shape[1]!);
    }
    return norm;
  }

  private change(parameter: Parameter, gradient: Float32Array, scale: number, rate: number): void {
    const { beta1, beta2, weightDecay } = this.options;
    const { values, frozenRows, name } = parameter;
    const moments = this.moments.get(name) ?? {
      mean: new Float32Array(values.length),
      square: new Float32Array(values.length),
    };
    this.moments.set(name, moments);
    const { mean, square } = moments;
    const step = rate / (1 - beta1 ** this.steps);
    const correction = 1 / (1 - beta2 ** this.steps);
    const keep = parameter.decays ? 1 - rate * weightDecay : 1;
    const columns = values.length / parameter.shape[0]!;
    for (let row = 0; row < parameter.shape[0]!; row++) {
      if (frozenRows?.[row]) continue;
      const stop = (row + 1) * columns;
      for (let i = row * columns; i < stop; i++) {
        const g = gradient[i]! * scale;
        const m = (mean[i] = beta1 * mean[i]! + (1 - beta1) * g);
        const s = (square[i] = beta2 * square[i]! + (1 - beta2) * g * g);
        values[i] = keep * values[i]! - (step * m) / (Math.sqrt(s * correction) + EPSILON);
      }
    }
  }
}

/** Removes the parts of a gradient that must not change the parameter: of frozen rows, and along rows of fixed length. */
function restrict({ values, shape, unitRows, frozenRows }: Parameter, gradient: Float32Array): void {
  const columns = values.length / shape[0]!;
  for (let row = 0; row < shape[0]!; row++) {
    const start = row * columns;
    if (frozenRows?.[row]) gradient.fill(0, start, start + columns);
    if (!unitRows) continue;
    let along = 0;
    for (let i = start; i < start + columns; i++) along += gradient[i]! * values[i]!;
    for (let i = start; i < start + columns; i++) gradient[i]! -= along * values[i]!;
  }
}

export function normalizeRows(values: Float32Array, columns: number): void {
  for (let start = 0; start < values.length; start += columns) {
    const row = values.subarray(start, start + columns);
    const length = Math.hypot(...row) || 1;
    for (let i = 0; i < columns; i++) row[i]! /= length;
  }
}
