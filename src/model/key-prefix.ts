/**
 * Model: checkpoints whose keys have another prefix than the family's: none at all, as the bare model is saved, or
 * `language_model.model.`, `base_model.model.`, `_orig_mod.model.`, … of whatever the model was wrapped in.
 */
import { BadFileError } from '../errors.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import type { WeightNames } from './weight-names.ts';

/**
 * The family's names with the prefix that the file uses: the prefix of the embedding's key is that of all keys. The family's
 * own prefix comes first, then one under which the model is complete. Throws `BadFileError` when there are several of those;
 * without any, a prefix under which there is at least the embedding is used, for the message that says what is missing.
 */
export function namesInFile(
  names: WeightNames,
  file: TensorFile,
  isComplete: (names: WeightNames) => boolean,
): WeightNames {
  const keys = [...file.tensors.keys()];
  if (keys.includes(names.W_E)) return names;
  const bare = names.W_E.slice(names.prefix.length);
  const found = keys
    .filter((key) => key === bare || key.endsWith(`.${bare}`))
    .map((key) => renamed(names, key.slice(0, -bare.length), file));
  const complete = found.filter(isComplete);
  if (complete.length > 1) {
    throw new BadFileError({
      code: 'several_models',
      message: `${file.name} holds ${complete.length} models, under ${complete.map(({ prefix }) => `'${prefix}'`).join(' and ')}, and none under '${names.prefix}'`,
      hint: 'Save the wanted model alone in a file.',
    });
  }
  return complete[0] ?? found[0] ?? names;
}

function renamed(names: WeightNames, prefix: string, file: TensorFile): WeightNames {
  const inFile = (key: string): string => prefix + key.slice(names.prefix.length);
  return {
    prefix,
    W_E: inFile(names.W_E),
    W_U: headKey(names.W_U, prefix, file),
    ln_final: inFile(names.ln_final),
    block: (layer) => {
      const block = names.block(layer);
      return Object.fromEntries(
        Object.entries(block).map(([name, key]) => [name, inFile(key)]),
      ) as typeof block;
    },
  };
}

/** The key of the output matrix, under the prefix or the prefix without some of its last parts: the longest that exists. */
function headKey(W_U: string, prefix: string, { tensors }: TensorFile): string {
  const wrappers = prefix.split('.').slice(0, -1);
  const places = [...wrappers, ''].map((_, n) => [...wrappers.slice(0, wrappers.length - n), W_U].join('.'));
  return places.find((key) => tensors.has(key)) ?? W_U;
}
