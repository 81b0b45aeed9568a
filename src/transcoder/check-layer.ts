/** Transcoder: whether the tensors of one layer have the shapes that the model and each other call for, from headers alone. */
import { BadFileError } from '../errors.ts';
import type { ModelSize } from './description.ts';
import { expectShape, type LayerSource } from './sources/source.ts';

/** Throws `BadFileError` naming the tensor, the shape expected and the shape found. */
export function checkLayer(source: LayerSource, { d_model }: ModelSize): void {
  const { d_transcoder: F, W_enc, W_dec, W_skip, activation } = source;
  const width = `the model's d_model is ${d_model}`;
  expectShape(W_enc, W_enc.transposed ? [d_model, F] : [F, d_model], width);
  const { n_slots: n } = W_dec;
  const hasSlots = W_dec.info.shape.length === 3 || n > 1;
  expectShape(
    W_dec,
    hasSlots ? [F, n, d_model] : [F, d_model],
    hasSlots ? `${width}, ${n} layers written` : width,
  );
  expectShape(source.b_enc, [F], `${F} features`);
  expectShape(source.b_dec, [d_model], width);
  if ('threshold' in activation && activation.threshold.info.shape.reduce((a, b) => a * b, 1) !== 1)
    expectShape(activation.threshold, [F], `${F} features`);
  if (W_skip) expectShape(W_skip, [d_model, d_model], width);
  if ('k' in activation) checkKept(source, activation);
}

function checkKept(
  { layer, d_transcoder, W_enc }: LayerSource,
  { kind, k }: { readonly kind: string; readonly k: number },
): void {
  const refuse = (why: string, hint: string): never => {
    throw new BadFileError({
      code: 'bad_set_config',
      message: `${W_enc.file.name}: k is ${k}, but layer ${layer} has ${d_transcoder} features${why}`,
      hint,
    });
  };
  if (k > d_transcoder) refuse('', 'k says how many features of a position are kept.');
  if (kind === 'groupmax' && d_transcoder % k !== 0)
    refuse(', which is not a multiple of k', 'GroupMax divides the features into k groups of the same size.');
}
