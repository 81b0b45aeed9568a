/** Files, step 5 (GGUF): a model that was split into several files, `NAME-00001-of-00003.gguf`, read as one. */
import { BadFileError } from '../errors.ts';
import { MetadataReader } from './gguf-metadata.ts';
import type { GgufFile } from './gguf.ts';
import { damagedGguf } from './gguf-values.ts';
import { shownName } from './shown.ts';
import { tensorMissing } from './tensor-reader.ts';

const SPLIT_NAME = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/;
const MOST_FILES = 1000;
const COUNT = 'split.count';
const NUMBER = 'split.no';
const N_TENSORS = 'split.tensors.count';

/** The names of all files that one of them belongs to, in order: of a model in one file, the name itself. */
export function splitNames(name: string): string[] {
  const [, base, , count, extension] = SPLIT_NAME.exec(name) ?? [];
  const n = Number(count);
  if (base === undefined || n < 1 || n > MOST_FILES) return [name];
  return Array.from(
    { length: n },
    (_, i) => `${base}-${String(i + 1).padStart(5, '0')}-of-${count}${extension}`,
  );
}

/**
 * The files as one, with the metadata of the first. They belong to the result. Throws `BadFileError` unless each is the part that
 * its name says, no tensor is in two of them, and all tensors of the model are there.
 */
export function joinGguf(files: readonly GgufFile[]): GgufFile {
  const [first] = files as [GgufFile, ...GgufFile[]];
  files.forEach((file, i) => checkPart(file, i, files.length));
  if (files.length === 1) return first;
  const owners = new Map<string, GgufFile>();
  for (const file of files) {
    for (const tensor of file.tensors.keys()) {
      const other = owners.get(tensor);
      if (other)
        throw damagedGguf('gguf_split', `${shownName(tensor)} is in ${other.name} and in ${file.name}`);
      owners.set(tensor, file);
    }
  }
  const expected = new MetadataReader(first).number(N_TENSORS);
  if (expected !== undefined && expected !== owners.size)
    throw damagedGguf(
      'gguf_split',
      `${first.name}: ${N_TENSORS} is ${expected}, the files have ${owners.size}`,
    );
  const tensors = new Map([...owners].map(([tensor, file]) => [tensor, file.tensors.get(tensor)!]));
  const { name } = first;
  const ownerOf = (tensor: string): GgufFile => {
    const owner = owners.get(tensor);
    if (owner) return owner;
    throw tensorMissing({ name, tensors }, tensor);
  };
  return {
    name,
    metadata: first.metadata,
    values: first.values,
    tensors,
    read: async (tensor, rows) => ownerOf(tensor).read(tensor, rows),
    readInto: async (tensor, target, rows) => ownerOf(tensor).readInto(tensor, target, rows),
    location: (tensor) => ownerOf(tensor).location(tensor),
    readRows: async (tensor, indices) => ownerOf(tensor).readRows(tensor, indices),
    readVectors: async (tensor, indices) => ownerOf(tensor).readVectors(tensor, indices),
    [Symbol.dispose]: () => files.forEach((file) => file[Symbol.dispose]()),
  };
}

function checkPart(file: GgufFile, index: number, n: number): void {
  const { name } = file;
  const metadata = new MetadataReader(file);
  const count = metadata.number(COUNT) ?? 1;
  const number = metadata.number(NUMBER) ?? 0;
  if (count === n && number === index) return;
  throw new BadFileError({
    code: 'gguf_split',
    message: `${name} says that it is part ${number} (from 0) of ${count}; expected ${index} of ${n} by its name`,
    hint: 'Keep the names that the files were split under, NAME-00001-of-00003.gguf and so on, in one folder.',
  });
}
