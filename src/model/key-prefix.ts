/**
 * Model: checkpoints whose keys have another prefix than the family's: none at all, as the bare model is saved, or
 * `language_model.model.`, `base_model.model.`, `_orig_mod.model.`, … of whatever the model was wrapped in.
 */
import { BadFileError } from '../errors.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import type { Naming, Place, Places } from './naming.ts';

/**
 * The family's names with the prefix that the file uses: the prefix of the embedding's key is that of all keys. The family's
 * own prefix comes first, then one under which the model is complete. Throws `BadFileError` when there are several of those;
 * without any, a prefix under which there is at least the embedding is used, for the message that says what is missing.
 */
export function namingInFile(
  naming: Naming,
  file: TensorFile,
  isComplete: (naming: Naming) => boolean,
): Naming {
  const keys = [...file.tensors.keys()];
  const { key: embedding } = naming.model['embed.W_E']!;
  if (keys.includes(embedding)) return naming;
  const bare = embedding.slice(naming.prefix.length);
  const found = keys
    .filter((key) => key === bare || key.endsWith(`.${bare}`))
    .map((key) => renamed(naming, key.slice(0, -bare.length), file));
  const complete = found.filter(isComplete);
  if (complete.length > 1) {
    throw new BadFileError({
      code: 'several_models',
      message: `${file.name} holds ${complete.length} models, under ${complete.map(({ prefix }) => `'${prefix}'`).join(' and ')}, and none under '${naming.prefix}'`,
      hint: 'Save the wanted model alone in a file.',
    });
  }
  return complete[0] ?? found[0] ?? naming;
}

/** The output matrix lies outside the bare model, so its key has not the prefix. */
const HEAD = 'unembed.W_U';

function renamed({ prefix: own, model, block }: Naming, prefix: string, file: TensorFile): Naming {
  const inFile = (places: Places): Places =>
    Object.fromEntries(
      Object.entries(places).map(([parameter, place]): [string, Place] => [
        parameter,
        {
          ...place,
          key: parameter === HEAD ? headKey(place.key, prefix, file) : prefix + place.key.slice(own.length),
        },
      ]),
    );
  return { prefix, model: inFile(model), block: (layer) => inFile(block(layer)) };
}

/** The key of the output matrix, under the prefix or the prefix without some of its last parts: the longest that exists. */
function headKey(W_U: string, prefix: string, { tensors }: TensorFile): string {
  const wrappers = prefix.split('.').slice(0, -1);
  const places = [...wrappers, ''].map((_, n) => [...wrappers.slice(0, wrappers.length - n), W_U].join('.'));
  return places.find((key) => tensors.has(key)) ?? W_U;
}
