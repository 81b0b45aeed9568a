/** Model, GGUF: one file that is checkpoint, configuration and tokenizer, as the folder of files that it was converted from. */
import { BadFileError, NotFoundError } from '../errors.ts';
import { memorySource, type ByteSource } from '../formats/byte-source.ts';
import { MetadataReader } from '../formats/gguf-metadata.ts';
import { joinGguf, splitNames } from '../formats/gguf-split.ts';
import { openGguf, type GgufFile } from '../formats/gguf.ts';
import { ggufTokenizer, ggufTokenizerConfig } from '../tokenizer/gguf.ts';
import { lacks, type FileSet } from './file-set.ts';
import { ggufConfigDocument } from './gguf-config.ts';

export const GGUF_SUFFIX = '.gguf';
const CONFIG_FILE = 'config.json';
/** Vision parts lie in files of their own beside the model (`mmproj-…`). */
const PROJECTOR = /^mmproj\b/i;

/** The documents that stand in the metadata. */
const MADE: Readonly<Record<string, (file: GgufFile) => unknown>> = {
  [CONFIG_FILE]: ggufConfigDocument,
  'tokenizer.json': (file) => ggufTokenizer(new MetadataReader(file)),
  'tokenizer_config.json': (file) => ggufTokenizerConfig(new MetadataReader(file)),
};

/** A model's GGUF files read as one, and which of them has a tensor. */
export interface OpenedGguf {
  readonly file: GgufFile;
  readonly shardOf: (tensor: string) => { readonly path: string; readonly fileName: string } | undefined;
}

/** Throws `NotFoundError` for a part that is missing, and what `openGguf` and `joinGguf` throw. */
export async function openGgufFiles(files: FileSet, paths: readonly string[]): Promise<OpenedGguf> {
  const opened: GgufFile[] = [];
  try {
    for (const path of paths) {
      if (lacks(files, path)) throw partMissing(files.name, path);
      opened.push(await openGguf(await files.open(path)));
    }
    const shardOf: OpenedGguf['shardOf'] = (tensor) => {
      const at = opened.findIndex(({ tensors }) => tensors.has(tensor));
      return at < 0 ? undefined : { path: paths[at]!, fileName: opened[at]!.name };
    };
    return { file: joinGguf(opened), shardOf };
  } catch (error) {
    for (const file of opened) file[Symbol.dispose]();
    throw error;
  }
}

function partMissing(folder: string, path: string): NotFoundError {
  return new NotFoundError({
    code: 'missing_shard',
    message: `${folder} lacks ${path}, a part of the model`,
    hint: 'Fetch all parts of the split model into one folder.',
  });
}

/**
 * The files of a model, with those that a GGUF file stands for where there is no config.json. Throws `BadFileError` where several
 * GGUF files could be meant.
 */
export function withGguf(files: FileSet, paths: readonly string[]): FileSet {
  if (files.has(CONFIG_FILE)) return files;
  const models = paths.filter((path) => !path.includes('/') && !PROJECTOR.test(path));
  const [first] = models;
  if (first === undefined) return files;
  const parts = splitNames(first);
  const other = models.find((path) => !parts.includes(path));
  if (other !== undefined) {
    throw new BadFileError({
      code: 'several_models',
      message: `${files.name} holds ${models.length} GGUF files (${models.slice(0, 3).join(', ')}${models.length > 3 ? ', …' : ''}) and no ${CONFIG_FILE}`,
      hint: `Name the file itself, such as --model ${files.name}/${first}.`,
    });
  }
  return {
    ...files,
    gguf: parts,
    has: (path) => Object.hasOwn(MADE, path) || files.has(path),
    open: (path) => (Object.hasOwn(MADE, path) ? made(files, parts, path) : files.open(path)),
  };
}

/** Made anew each time: a tokenizer has many megabytes, and is kept in its compiled form. */
async function made(files: FileSet, parts: readonly string[], path: string): Promise<ByteSource> {
  const { file } = await openGgufFiles(files, parts);
  using _closed = file;
  const text = JSON.stringify(await MADE[path]!(file));
  return memorySource(`${file.name} (as ${path})`, new TextEncoder().encode(text));
}
