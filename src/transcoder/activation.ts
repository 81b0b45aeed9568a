/** Transcoder: from pre-activations to the features that are active. */
import { unreachable } from '../errors.ts';

/** What a layer's transcoder does with its pre-activations. */
export type Activation =
  | { readonly kind: 'relu' }
  /** One threshold a feature, [d_transcoder]: the unchanged value where it is strictly greater, else 0. */
  | { readonly kind: 'jumprelu'; readonly threshold: Float32Array }
  /** The k largest values of a position, negative ones included. */
  | { readonly kind: 'topk'; readonly k: number };

/** Active features of one layer, sorted by position, then feature. */
export interface LayerFeatures {
  readonly positions: Int32Array;
  readonly features: Int32Array;
  readonly values: Float32Array;
}

/**
 * The features whose activation is not exactly 0. NaN counts as active, so that a damaged encoder is noticed and not taken
 * for features that are silent.
 * @param pre pre-activations [n_pos, d_transcoder], row-major
 * @param firstPosition positions before it count as inactive
 */
export function activeFeatures(
  pre: Float32Array,
  n_pos: number,
  d_transcoder: number,
  activation: Activation,
  firstPosition = 0,
): LayerFeatures {
  const positions: number[] = [];
  const features: number[] = [];
  const values: number[] = [];
  const emit = (position: number, feature: number, value: number): void => {
    positions.push(position);
    features.push(feature);
    values.push(value);
  };
  for (let position = firstPosition; position < n_pos; position++) {
    const row = pre.subarray(position * d_transcoder, (position + 1) * d_transcoder);
    switch (activation.kind) {
      case 'relu':
        for (let f = 0; f < d_transcoder; f++) if (!(row[f]! <= 0)) emit(position, f, row[f]!);
        break;
      case 'jumprelu': {
        const { threshold } = activation;
        for (let f = 0; f < d_transcoder; f++) {
          if (!(row[f]! <= threshold[f]!) && row[f] !== 0) emit(position, f, row[f]!);
        }
        break;
      }
      case 'topk':
        for (const f of largest(row, activation.k)) if (row[f] !== 0) emit(position, f, row[f]!);
        break;
      default:
        unreachable(activation);
    }
  }
  return {
    positions: Int32Array.from(positions),
    features: Int32Array.from(features),
    values: Float32Array.from(values),
  };
}

/** Indices of the k largest values, ascending. Of equal values at the cut, those with the smaller index are taken. */
function largest(row: Float32Array, k: number): number[] {
  if (k >= row.length) return Array.from(row.keys());
  const cut = kthLargest(row, k);
  const above: number[] = [];
  const equal: number[] = [];
  for (let f = 0; f < row.length; f++) {
    if (row[f] === cut) equal.push(f);
    else if (!(row[f]! < cut)) above.push(f);
  }
  return [...above, ...equal.slice(0, k - above.length)].sort((a, b) => a - b);
}

/** Keeps the k largest seen so far in ascending order: most values are smaller than all of them and cost one comparison. */
function kthLargest(row: Float32Array, k: number): number {
  const best = new Float32Array(k).fill(-Infinity);
  for (const value of row) {
    if (!(value > best[0]!)) continue;
    let at = 1;
    while (at < k && best[at]! < value) {
      best[at - 1] = best[at]!;
      at++;
    }
    best[at - 1] = value;
  }
  return best[0]!;
}
