/** Files, step 4 (shards): `model.safetensors.index.json` and the files it names, seen as one. */
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { BadFileError, NotFoundError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { readJson } from './json.ts';
import { openSafetensors } from './safetensors.ts';
import { shownName } from './shown.ts';
import type { TensorFile } from './tensor-file.ts';
import { tensorInfo } from './tensor-reader.ts';

const indexSchema = v.object({ weight_map: v.record(v.string(), v.string()) });

/**
 * Opens all shards of an index; `openShard` gets the file name that the index uses (default: the file beside the index).
 * Throws `NotFoundError` naming a missing shard, `BadFileError` for a tensor that is not in the shard it should be in.
 */
export async function openSharded(
  index: ByteSource | string,
  openShard?: (fileName: string) => Promise<TensorFile>,
): Promise<TensorFile> {
  const indexName = typeof index === 'string' ? index : index.name;
  const { weight_map: shardOf } = await readJson(index, indexSchema);
  const open = openShard ?? ((fileName) => openSafetensors(join(dirname(indexName), fileName)));
  const shards = await openAll(indexName, new Set(Object.values(shardOf)), open);
  try {
    return joined(indexName, shardOf, shards);
  } catch (error) {
    for (const shard of shards.values()) shard[Symbol.dispose]();
    throw error;
  }
}

type Shards = ReadonlyMap<string, TensorFile>;

async function openAll(
  indexName: string,
  fileNames: ReadonlySet<string>,
  open: (fileName: string) => Promise<TensorFile>,
): Promise<Shards> {
  for (const fileName of fileNames) checkFileName(indexName, fileName);
  const shards = new Map<string, TensorFile>();
  const openings = [...fileNames].map(async (fileName) => shards.set(fileName, await open(fileName)));
  const failed = (await Promise.allSettled(openings)).find((result) => result.status === 'rejected');
  if (!failed) return shards;
  for (const shard of shards.values()) shard[Symbol.dispose]();
  throw failed.reason instanceof NotFoundError && failed.reason.code === 'file_not_found'
    ? missingShard(indexName, failed.reason)
    : failed.reason;
}

/** An index from elsewhere must not lead out of its folder. */
function checkFileName(indexName: string, fileName: string): void {
  if (/^[^/\\\0]+$/.test(fileName) && fileName !== '.' && fileName !== '..') return;
  throw new BadFileError({
    code: 'shard_name',
    message: `${indexName} names the shard ${shownName(fileName)}; expected a plain file name`,
    hint: 'The index is damaged, or not to be trusted.',
  });
}

function missingShard(indexName: string, cause: NotFoundError): NotFoundError {
  return new NotFoundError({
    code: 'shard_missing',
    message: `a shard that ${indexName} lists is missing: ${cause.message}`,
    hint: 'Fetch the missing file into the same folder.',
    cause,
  });
}

function joined(name: string, shardOf: Readonly<Record<string, string>>, shards: Shards): TensorFile {
  const owners = new Map(
    Object.entries(shardOf).map(([tensor, fileName]) => [tensor, shards.get(fileName)!]),
  );
  const tensors = new Map([...owners].map(([tensor, shard]) => [tensor, listedInfo(name, tensor, shard)]));
  const ownerOf = (tensor: string) => owners.get(tensorInfo({ name, tensors }, tensor).name)!;
  return {
    name,
    metadata: Object.fromEntries([...shards.values()].flatMap(({ metadata }) => Object.entries(metadata))),
    tensors,
    read: async (tensor, rows) => ownerOf(tensor).read(tensor, rows),
    readInto: async (tensor, target, rows) => ownerOf(tensor).readInto(tensor, target, rows),
    readRows: async (tensor, indices) => ownerOf(tensor).readRows(tensor, indices),
    readVectors: async (tensor, indices) => ownerOf(tensor).readVectors(tensor, indices),
    [Symbol.dispose]: () => shards.forEach((shard) => shard[Symbol.dispose]()),
  };
}

function listedInfo(indexName: string, tensor: string, shard: TensorFile) {
  const info = shard.tensors.get(tensor);
  if (info) return info;
  throw new BadFileError({
    code: 'tensor_missing',
    message: `${indexName} lists tensor ${shownName(tensor)} in ${shard.name}, which does not have it`,
    hint: 'Index and shards are of different versions. Fetch them again.',
  });
}
