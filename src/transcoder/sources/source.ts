/** Transcoder sources: where the tensors of one layer lie, whatever the layout. One layout of tensors a file in this folder. */
import type { WeightInfo } from '../../backend/weight-source.ts';
import { BadFileError } from '../../errors.ts';
import type { TensorFile } from '../../formats/tensor-file.ts';
import { weightInfo } from '../../model/weight-info.ts';

/** A tensor of an opened file. */
export interface Located {
  readonly file: TensorFile;
  readonly info: WeightInfo;
}

/** A matrix, and whether it is stored the other way round than its logical shape. */
export interface LocatedMatrix extends Located {
  readonly transposed: boolean;
}

/** The activation of a layer, with its thresholds still in the file; `activations/` says what each does. */
export type ActivationSource =
  | { readonly kind: 'relu' }
  /** One threshold a feature, or a single one for all. */
  | { readonly kind: 'jumprelu' | 'positive-jumprelu' | 'batchtopk'; readonly threshold: Located }
  | { readonly kind: 'topk' | 'positive-topk' | 'groupmax'; readonly k: number };

/** One layer of a set, from headers alone. */
export interface LayerSource {
  readonly layer: number;
  readonly d_transcoder: number;
  /** Logical shape [d_transcoder, d_model]. */
  readonly W_enc: LocatedMatrix;
  readonly W_dec: DecoderSource;
  readonly b_enc: Located;
  readonly b_dec: Located;
  readonly activation: ActivationSource;
  /** Logical shape [d_model, d_model], applied as x · W_skipᵀ. */
  readonly W_skip: LocatedMatrix | null;
}

/** [d_transcoder, d_model], or [d_transcoder, n_slots, d_model] where features write into several layers. */
export interface DecoderSource extends Located {
  /** Layers written, from the transcoder's own on. */
  readonly n_written_layers: number;
  readonly n_slots: number;
  /** The slot that is written into the transcoder's own layer; those after it into the layers after it. */
  readonly firstSlot: number;
}

/** The keys of a layout that has one file a layer, and which of its matrices are stored the other way round. */
export interface TensorKeys {
  readonly W_enc: string;
  readonly b_enc: string;
  readonly W_dec: string;
  readonly b_dec: string;
  /** Absent where the layout has no skip. A set of the layout need not have one. */
  readonly W_skip?: string;
  /** `W_enc` is [d_model, d_transcoder]. */
  readonly isEncoderTransposed: boolean;
  /** `W_skip` is [in, out]. */
  readonly isSkipTransposed?: boolean;
}

/** One layer that writes into itself alone. Throws `BadFileError` naming a tensor that is missing. */
export function layerSource(
  file: TensorFile,
  layer: number,
  keys: TensorKeys,
  activation: ActivationSource,
): LayerSource {
  const W_enc = required(file, keys.W_enc);
  const W_skip = keys.W_skip === undefined ? null : optional(file, keys.W_skip);
  return {
    layer,
    d_transcoder: W_enc.info.shape[keys.isEncoderTransposed ? 1 : 0] ?? 0,
    W_enc: { ...W_enc, transposed: keys.isEncoderTransposed },
    W_dec: ownLayer(required(file, keys.W_dec)),
    b_enc: required(file, keys.b_enc),
    b_dec: required(file, keys.b_dec),
    activation,
    W_skip: W_skip && { ...W_skip, transposed: keys.isSkipTransposed ?? false },
  };
}

/** A decoder that writes into its own layer alone. */
function ownLayer(located: Located): DecoderSource {
  return { ...located, n_written_layers: 1, n_slots: 1, firstSlot: 0 };
}

/** The row of a decoder, seen as [d_transcoder · n_slots, d_model], that a feature writes into the j-th layer from its own. */
export function decoderRow({ n_slots, firstSlot }: DecoderSource, feature: number, j: number): number {
  return feature * n_slots + firstSlot + j;
}

/** The tensors of a layer by their names in circuit-tracer. */
export function tensorsOf({
  W_enc,
  W_dec,
  b_enc,
  b_dec,
  activation,
  W_skip,
}: LayerSource): [string, Located][] {
  return [
    ['W_enc', W_enc],
    ['W_dec', W_dec],
    ['b_enc', b_enc],
    ['b_dec', b_dec],
    ...('threshold' in activation ? [['threshold', activation.threshold] satisfies [string, Located]] : []),
    ...(W_skip ? [['W_skip', W_skip] satisfies [string, Located]] : []),
  ];
}

/** A tensor if it is there, with any shape. Throws `BadFileError` when its type is not a type of weights. */
export function optional(file: TensorFile, key: string): Located | null {
  const info = file.tensors.get(key);
  return info ? { file, info: weightInfo(file.name, info, 'transcoder set') } : null;
}

/** A tensor that has to be there. Throws `BadFileError` naming it. */
export function required(file: TensorFile, key: string): Located {
  const located = optional(file, key);
  if (located) return located;
  throw new BadFileError({
    code: 'missing_tensor',
    message: `${file.name} has no tensor ${key}; it has ${[...file.tensors.keys()].join(', ') || 'none'}`,
    hint: 'docs/formats.md lists the layouts of transcoder sets that are known.',
  });
}

/** Refuses a tensor of another shape than the model calls for. */
export function expectShape({ file, info }: Located, expected: readonly number[], why: string): void {
  if (info.shape.join() === expected.join()) return;
  throw new BadFileError({
    code: 'tensor_shape',
    message: `${file.name}: ${info.name} is [${info.shape.join(', ')}], expected [${expected.join(', ')}] (${why})`,
    hint: 'Was this set made for another model?',
  });
}
