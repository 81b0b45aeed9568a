/** Files, step 4 (shards): `model.safetensors.index.json` and the files that it names, read as one file. */
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { BadFileError, NotFoundError } from '../errors.ts';
import { jsonObject, jsonRecord } from './json-object.ts';
import type { ByteSource } from './byte-source.ts';
import { readJson } from './json.ts';
import { isSafePath, pathInside } from './safe-path.ts';
import { openSafetensors } from './safetensors.ts';
import { shownName } from './shown.ts';
import type { TensorFile } from './tensor-file.ts';
import { tensorMissing } from './tensor-reader.ts';

const indexSchema = jsonObject({ weight_map: jsonRecord(v.string(), v.string()) });

export interface ShardedFile extends TensorFile {
  /** The shard that holds a tensor: its path beside the index, and how errors name it. Undefined where none does. */
  readonly shardOf: (tensor: string) => { readonly path: string; readonly fileName: string } | undefined;
  /**
   * Why a tensor is in no shard: the fault of a shard that may have it, first of the one that the index names, or that the
   * index names one that lacks it. Undefined for a tensor that the index does not list, where all shards are open.
   */
  readonly faultFor: (tensor: string) => Error | undefined;
}

/**
 * Opens the shards of an index; `openShard` gets their paths relative to the index. The index only says which files to open:
 * a tensor may lie in another shard than the index says. A tensor that is listed but in no shard is an error only when it is
 * read, and a shard that cannot be opened matters only for tensors that no other shard has. A tensor that is listed outside
 * the folder counts as missing: that path is not opened, and the index is refused when the tensor is read.
 * Throws `NotFoundError` without an index, `BadFileError` for a damaged one.
 */
export async function openSharded(
  index: ByteSource | string,
  openShard?: (path: string) => Promise<TensorFile>,
): Promise<ShardedFile> {
  const indexName = typeof index === 'string' ? index : index.name;
  const { weight_map } = await readJson(index, indexSchema);
  const listed = new Map(
    Object.entries(weight_map).map(([tensor, path]) => [tensor, pathInside(path) ?? path]),
  );
  const open = openShard ?? (async (path) => openBeside(indexName, path));
  const paths = [...new Set(listed.values())];
  const openings = await Promise.allSettled(
    paths.map(async (path) => {
      if (!isSafePath(path)) throw outside(indexName, path);
      return await open(path);
    }),
  );
  const shards = new Map<string, TensorFile>();
  const faults = new Map<string, Error>();
  for (const [i, opening] of openings.entries()) {
    if (opening.status === 'fulfilled') shards.set(paths[i]!, opening.value);
    else faults.set(paths[i]!, opening.reason as Error);
  }
  return joined(indexName, listed, shards, faults);
}

/** An index from elsewhere must not lead out of its folder. */
function outside(indexName: string, path: string): BadFileError {
  return new BadFileError({
    code: 'shard_name',
    message: `${indexName} names the shard ${shownName(path)}; expected a path inside its folder`,
    hint: 'The index is damaged, or not to be trusted.',
  });
}

async function openBeside(indexName: string, path: string): Promise<TensorFile> {
  try {
    return await openSafetensors(join(dirname(indexName), path));
  } catch (cause) {
    if (!(cause instanceof NotFoundError) || cause.code !== 'file_not_found') throw cause;
    throw new NotFoundError({
      code: 'shard_missing',
      message: `a shard that ${indexName} lists is missing: ${cause.message}`,
      hint: 'Fetch the missing file into the same folder.',
      cause,
    });
  }
}

function joined(
  name: string,
  listed: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, TensorFile>,
  faults: ReadonlyMap<string, Error>,
): ShardedFile {
  const owners = ownersOf(listed, shards);
  const tensors = new Map(
    [...owners].map(([tensor, path]) => [tensor, shards.get(path)!.tensors.get(tensor)!]),
  );
  // A shard outside the folder is never opened, so it cannot have what the index does not say to be there.
  const [unopened] = [...faults].filter(([path]) => isSafePath(path)).map(([, fault]) => fault);
  const faultFor = (tensor: string): Error | undefined => {
    const path = listed.get(tensor);
    if (path === undefined) return unopened;
    const shard = shards.get(path);
    return shard ? (unopened ?? notInShards(name, tensor, shard.name)) : faults.get(path);
  };
  const ownerOf = (tensor: string): TensorFile => {
    const path = owners.get(tensor);
    if (path === undefined) throw faultFor(tensor) ?? tensorMissing({ name, tensors }, tensor);
    return shards.get(path)!;
  };
  return {
    name,
    metadata: Object.fromEntries([...shards.values()].flatMap(({ metadata }) => Object.entries(metadata))),
    tensors,
    shardOf: (tensor) => {
      const path = owners.get(tensor);
      return path === undefined ? undefined : { path, fileName: shards.get(path)!.name };
    },
    faultFor,
    read: async (tensor, rows) => ownerOf(tensor).read(tensor, rows),
    readInto: async (tensor, target, rows) => ownerOf(tensor).readInto(tensor, target, rows),
    location: (tensor) => ownerOf(tensor).location(tensor),
    readRows: async (tensor, indices) => ownerOf(tensor).readRows(tensor, indices),
    readVectors: async (tensor, indices) => ownerOf(tensor).readVectors(tensor, indices),
    [Symbol.dispose]: () => shards.forEach((shard) => shard[Symbol.dispose]()),
  };
}

function notInShards(name: string, tensor: string, shard: string): BadFileError {
  return new BadFileError({
    code: 'missing_tensor',
    message: `${name} says that ${tensor} is in ${shard}, but neither that shard nor any other has it: index and shards are of different versions`,
    hint: 'Fetch the index and all its shards again, from the same commit.',
  });
}

/** For each tensor the shard to read it from: where several have it, the one that the index names. */
function ownersOf(
  listed: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, TensorFile>,
): Map<string, string> {
  const owners = new Map<string, string>();
  for (const [path, { tensors }] of shards) {
    for (const tensor of tensors.keys()) {
      const place = listed.get(tensor) ?? path;
      if (isSafePath(place) && (!owners.has(tensor) || place === path)) owners.set(tensor, path);
    }
  }
  return owners;
}
