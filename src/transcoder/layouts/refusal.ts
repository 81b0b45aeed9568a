/** Transcoder layouts: the error for a configuration file that says something else than a set that can be traced. */
import { BadFileError } from '../../errors.ts';

/** Throws `BadFileError` naming the file and the field. */
export type RefuseField = (field: string, found: unknown, expected: string, hint: string) => never;

export function refuseFieldsOf(file: string): RefuseField {
  return (field, found, expected, hint) => {
    throw new BadFileError({
      code: 'bad_set_config',
      message: `${file}: ${field} is ${JSON.stringify(found) ?? 'missing'}, expected ${expected}`,
      hint,
    });
  };
}

/** Throws `BadFileError`: a layer of a set is there twice, in two folders or files. */
export function refuseTwice(set: string, layer: number, first: string, second: string): never {
  throw new BadFileError({
    code: 'layer_twice',
    message: `${set} has two transcoders for layer ${layer}: ${first} and ${second}`,
    hint: 'Name the folder of one set, or write a config.yaml whose list transcoders has one file for each layer (docs/formats.md).',
  });
}
