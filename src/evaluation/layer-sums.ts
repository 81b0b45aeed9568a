/**
 * Evaluation: what a transcoder makes of its MLP's outputs, summed over a corpus in one pass and in double precision. Variances are
 * merged batch by batch around the mean of each (Chan, Golub and LeVeque 1983), so that no large squares are subtracted.
 */
import * as v from 'valibot';
import { jsonObject } from '../formats/json-object.ts';
import type { LayerFeatures } from '../transcoder/activations/activation.ts';

/** Sums over tokens, and over dimensions where they are about vectors. y: what the MLP writes; z: what is rebuilt of it. */
const TOTALS = {
  n: v.number(),
  /** Σ‖y − z‖² */
  squaredError: v.number(),
  /** Σ‖y − ȳ‖², Σ‖z − z̄‖², Σ(y − ȳ)·(z − z̄) */
  variation: v.number(),
  rebuiltVariation: v.number(),
  covariation: v.number(),
  /** Σ cos(y, z) */
  cosine: v.number(),
  /** Active features. */
  active: v.number(),
};

export const LayerTotals = jsonObject(TOTALS);
export type LayerTotals = v.InferOutput<typeof LayerTotals>;

export class LayerSums {
  readonly layer: number;
  totals: LayerTotals = {
    n: 0,
    squaredError: 0,
    variation: 0,
    rebuiltVariation: 0,
    covariation: 0,
    cosine: 0,
    active: 0,
  };
  /** Means over the tokens so far, [d_model]. */
  readonly mean: Float64Array;
  readonly rebuiltMean: Float64Array;
  /** 1 where a feature was active anywhere, [d_transcoder]. */
  readonly wasActive: Uint8Array;

  constructor(layer: number, d_model: number, d_transcoder: number) {
    this.layer = layer;
    this.mean = new Float64Array(d_model);
    this.rebuiltMean = new Float64Array(d_model);
    this.wasActive = new Uint8Array(d_transcoder);
  }

  /** @param y outputs of the MLP, [n · d_model]; `z` what is rebuilt of them */
  add(y: Float32Array, z: Float32Array, features: LayerFeatures): void {
    const d = this.mean.length;
    const n = y.length / d;
    if (n === 0) return;
    const { totals } = this;
    const own = { y: meanOf(y, d), z: meanOf(z, d) };
    let { squaredError, variation, rebuiltVariation, covariation, cosine } = totals;
    for (let row = 0; row < n; row++) {
      let [yy, zz, yz] = [0, 0, 0];
      for (let i = 0; i < d; i++) {
        const [a, b] = [y[row * d + i]!, z[row * d + i]!];
        const [p, q] = [a - own.y[i]!, b - own.z[i]!];
        yy += a * a;
        zz += b * b;
        yz += a * b;
        squaredError += (a - b) * (a - b);
        variation += p * p;
        rebuiltVariation += q * q;
        covariation += p * q;
      }
      if (yy > 0 && zz > 0) cosine += yz / Math.sqrt(yy * zz);
    }
    const n_all = totals.n + n;
    const weight = (totals.n * n) / n_all;
    for (let i = 0; i < d; i++) {
      const [p, q] = [own.y[i]! - this.mean[i]!, own.z[i]! - this.rebuiltMean[i]!];
      variation += weight * p * p;
      rebuiltVariation += weight * q * q;
      covariation += weight * p * q;
      this.mean[i]! += (p * n) / n_all;
      this.rebuiltMean[i]! += (q * n) / n_all;
    }
    for (const feature of features.features) this.wasActive[feature] = 1;
    const active = totals.active + features.features.length;
    this.totals = { n: n_all, squaredError, variation, rebuiltVariation, covariation, cosine, active };
  }
}

function meanOf(rows: Float32Array, d: number): Float64Array {
  const mean = new Float64Array(d);
  for (let i = 0; i < rows.length; i++) mean[i % d]! += rows[i]!;
  return mean.map((sum) => (sum * d) / rows.length);
}

/** How well a layer is rebuilt. Null where a measure is not defined: outputs that do not vary, or no token. */
export interface LayerFidelity {
  readonly layer: number;
  readonly d_transcoder: number;
  /** 1 − Σ‖y − z‖² / Σ‖y − ȳ‖² */
  readonly explained_variance: number | null;
  /** Mean over tokens of cos(y, z); 0 where one of them is zero. */
  readonly cosine: number | null;
  /** Active features a token. */
  readonly l0: number | null;
  readonly never_active_share: number;
  /** Mean over tokens and dimensions. */
  readonly mean_squared_error: number | null;
  /** What z has to be multiplied by to explain most, and the explained variance then, with the mean of y put right. */
  readonly best_scale: number | null;
  readonly explained_at_best_scale: number | null;
}

export function fidelityOf({ layer, totals, mean, wasActive }: LayerSums): LayerFidelity {
  const { n, squaredError, variation, rebuiltVariation, covariation, cosine, active } = totals;
  const unexplained = quotient(squaredError, variation);
  const d_transcoder = wasActive.length;
  return {
    layer,
    d_transcoder,
    explained_variance: unexplained === null ? null : 1 - unexplained,
    cosine: quotient(cosine, n),
    l0: quotient(active, n),
    never_active_share: wasActive.reduce((sum, was) => sum + 1 - was, 0) / d_transcoder,
    mean_squared_error: quotient(squaredError, n * mean.length),
    best_scale: quotient(covariation, rebuiltVariation),
    explained_at_best_scale: quotient(covariation * covariation, variation * rebuiltVariation),
  };
}

/** Null where it is not defined. */
export function quotient(a: number, b: number): number | null {
  const value = a / b;
  return Number.isFinite(value) ? value : null;
}
