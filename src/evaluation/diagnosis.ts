/** Evaluation: what bad measures mean, in words: which layers, what is likely wrong, and what was found to fit better. */
import { SUSPICIOUS_VARIANCE } from './evaluate.ts';
import type { InputTrial } from './input-trials.ts';
import type { LayerFidelity } from './layer-sums.ts';

export interface Diagnosed {
  readonly layers: readonly LayerFidelity[];
  readonly trials: readonly InputTrial[];
  /** Of the set's configuration. */
  readonly inputHook: string;
  /** The model that the set says it was made for; may be empty. */
  readonly namedModel: string;
  readonly model: string;
  /** The file of a layer's encoder. */
  readonly fileOf: (layer: number) => string;
}

/** Another input has to explain so much more to be named. */
const CLEARLY_MORE = 0.1;
/** Fewer active features a token: most tokens have none. */
const HARDLY_ANY = 0.5;
/** A larger share of all features at a token is not sparse. */
const HALF_OF_ALL = 0.5;
/** Files that are named one by one. */
const FEW_FILES = 3;

/** One sentence or several for each finding; none for a set that does what sets do. */
export function diagnose(found: Diagnosed): string[] {
  const { layers } = found;
  const worse = layers.filter(({ explained_variance: ev }) => ev !== null && ev < 0);
  const low = layers.filter(({ explained_variance: ev }) => ev !== null && ev < SUSPICIOUS_VARIANCE);
  return [
    ...(worse.length > 0 ? [belowZero(worse, low, found)] : lowVariance(low, found)),
    ...sparsity(layers),
  ];
}

/** @param low layers that are rebuilt badly, those below zero included */
function belowZero(worse: readonly LayerFidelity[], low: readonly LayerFidelity[], found: Diagnosed): string {
  const { layers, model, namedModel, fileOf } = found;
  const isAll = worse.length === layers.length;
  const head =
    `The explained variance is below zero at ${placesOf(worse, layers)} (${rangeOf(valuesOf(worse))}): ` +
    'what features write there is further from what the MLP writes than its mean is.';
  const cause = betterInput(low, found) ?? betterInput(worse, found) ?? otherScale(worse);
  if (cause !== undefined) return `${head} ${cause}`;
  if (!isAll) {
    const files = [...new Set(worse.map(({ layer }) => fileOf(layer)))];
    const named = files.length <= FEW_FILES ? files.join(', ') : `${files[0]} and ${files.length - 1} others`;
    return `${head} The other layers are rebuilt better, so look at the files of these: ${named}. They may be those of other layers, or have the rows or axes of the encoder in another order than those of the decoder.`;
  }
  const made = namedModel === '' ? '' : ` It says that it was made for ${namedModel}; the model is ${model}.`;
  return `${head} No other input hook fits better. Likely the encoder is transposed, its rows are in another order than those of the decoder, or the set was made for another model.${made}`;
}

function lowVariance(low: readonly LayerFidelity[], found: Diagnosed): string[] {
  if (low.length === 0) return [];
  const cause = betterInput(low, found);
  if (cause === undefined) return [];
  return [
    `The explained variance is low at ${placesOf(low, found.layers)} (${rangeOf(valuesOf(low))}). ${cause}`,
  ];
}

/** The input that explains most, if it explains clearly more than the set's own. */
function betterInput(
  affected: readonly LayerFidelity[],
  { trials, inputHook, fileOf, layers }: Diagnosed,
): string | undefined {
  const valuesAt = ({ explained }: InputTrial): number[] =>
    affected.map(({ layer }) => explained.get(layer) ?? -Infinity);
  const [own, ...others] = trials;
  if (!own || others.length === 0) return undefined;
  const best = others.reduce((a, b) => (meanOf(valuesAt(b)) > meanOf(valuesAt(a)) ? b : a));
  const mean = meanOf(valuesAt(best));
  if (!(mean > 0 && mean > meanOf(valuesAt(own)) + CLEARLY_MORE)) return undefined;
  const would = `the explained variance of ${placesOf(affected, layers)} would be ${rangeOf(valuesAt(best))}`;
  if (best.isTransposed) {
    return `With the encoder transposed ${would}: W_enc (${fileOf(affected[0]!.layer)}) is stored the other way round.`;
  }
  return `With ${best.hook} as the input ${would}: the set was made for it, not for ${inputHook} (feature_input_hook in its configuration).`;
}

/** The right direction at the wrong length. */
function otherScale(affected: readonly LayerFidelity[]): string | undefined {
  const explained = affected.map(({ explained_at_best_scale: ev }) => ev ?? 0);
  const scales = affected.map(({ best_scale }) => best_scale ?? 0);
  if (!(meanOf(explained) > SUSPICIOUS_VARIANCE && scales.every((scale) => scale > 0))) return undefined;
  return `Multiplied by ${rangeOf(scales)} it would be ${rangeOf(explained)}: inputs or outputs of the set are scaled, as by a normalisation of activations that was not folded into its weights.`;
}

function sparsity(layers: readonly LayerFidelity[]): string[] {
  const few = layers.filter(({ l0 }) => l0 !== null && l0 < HARDLY_ANY);
  const many = layers.filter(({ l0, d_transcoder }) => l0 !== null && l0 > HALF_OF_ALL * d_transcoder);
  const activeAt = (some: readonly LayerFidelity[]): string =>
    `${rangeOf(some.map(({ l0 }) => l0 ?? 0))} features are active a token at ${placesOf(some, layers)}`;
  return [
    ...(few.length > 0
      ? [
          `Only ${activeAt(few)}: thresholds may be too high for these inputs, or the encoder reads another hook or scale.`,
        ]
      : []),
    ...(many.length > 0
      ? [
          `${activeAt(many)}, which is more than half of all: the set is not sparse. Its activation function or thresholds may be missing or wrong.`,
        ]
      : []),
  ];
}

function placesOf(some: readonly LayerFidelity[], all: readonly LayerFidelity[]): string {
  if (some.length === all.length) return all.length === 1 ? 'the only layer' : `all ${all.length} layers`;
  return `${some.length === 1 ? 'layer' : 'layers'} ${some.map(({ layer }) => layer).join(', ')}`;
}

function valuesOf(layers: readonly LayerFidelity[]): number[] {
  return layers.map(({ explained_variance }) => explained_variance ?? 0);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** 0.93, or 0.93 to 0.97 */
function rangeOf(values: readonly number[]): string {
  const [least, most] = [
    values.reduce((a, b) => Math.min(a, b)),
    values.reduce((a, b) => Math.max(a, b)),
  ].map(shown);
  return least === most ? least! : `${least} to ${most}`;
}

const DIGITS = 3;

/** Three digits. */
export function shown(value: number): string {
  return String(Number(value.toPrecision(DIGITS)));
}
