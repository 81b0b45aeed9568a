import { describe, expect, it } from '@jest/globals';
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, NetworkError, NotFoundError } from '../../src/errors.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { openSharded } from '../../src/formats/sharded.ts';
import type { TensorFile } from '../../src/formats/tensor-file.ts';
import { contentsOf, GOLDEN, refusalOf, temporaryFolder } from './support.ts';

const MODEL = join(GOLDEN, 'tiny-b/model');
const INDEX = 'model.safetensors.index.json';
const shardName = (i: number) => `model-0000${i}-of-00003.safetensors`;

/** A copy of the sharded model that a test may damage. */
function copyOfModel() {
  const folder = temporaryFolder();
  cpSync(MODEL, folder.path, { recursive: true });
  const index = join(folder.path, INDEX);
  return {
    index,
    pathOf: (name: string) => join(folder.path, name),
    editIndex: (edit: (text: string) => string) => writeFileSync(index, edit(readFileSync(index, 'utf8'))),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

describe('A sharded checkpoint', () => {
  it('has the tensors of all shards under one name', async () => {
    const contents = await contentsOf(openSharded(join(MODEL, INDEX)));
    const shards = await Promise.all(
      [1, 2, 3].map((i) => contentsOf(openSafetensors(join(MODEL, shardName(i))))),
    );
    expect(contents.size).toBe(35);
    expect(new Map([...contents].sort())).toEqual(new Map(shards.flatMap((shard) => [...shard]).sort()));
  });

  it('reads rows and vectors of a tensor from the shard that has it', async () => {
    using file = await openSharded(join(MODEL, INDEX));
    const name = 'model.embed_tokens.weight';
    const rowBytes = 40 * 2;
    const whole = await file.read(name);
    const rows = Uint8Array.from(
      [5, 2].flatMap((row) => [...whole.subarray(row * rowBytes, (row + 1) * rowBytes)]),
    );
    expect(await file.readRows(name, [5, 2])).toEqual(rows);
    expect(await file.readVectors(name, [5, 2])).toEqual(rows);
    const target = new Uint8Array(rowBytes);
    await file.readInto(name, target, { start: 2, stop: 3 });
    expect(target).toEqual(rows.subarray(rowBytes));
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(await refusalOf(file.read('model.norm.wieght'))).toMatchObject({ code: 'tensor_missing' });
  });

  it('names a shard that is missing to whoever reads what only it has', async () => {
    using model = copyOfModel();
    rmSync(model.pathOf(shardName(2)));
    using file = await openSharded(model.index);
    const gone = [...(await contentsOf(openSafetensors(join(MODEL, shardName(2))))).keys()];
    expect(file.tensors.size).toBe(35 - gone.length);
    const error = await refusalOf(file.read(gone[0]!));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ exitCode: EXIT.notFound, code: 'shard_missing' });
    expect(error.message).toContain(model.pathOf(shardName(2)));
    expect(error.message).toContain(INDEX);
    expect(file.faultFor(gone[0]!)).toBe(error);
  });

  it('names a shard that was cut to whoever reads what only it has', async () => {
    using model = copyOfModel();
    truncateSync(model.pathOf(shardName(3)), 30_000);
    using file = await openSharded(model.index);
    const error = await refusalOf(file.read('model.norm.weight'));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'file_truncated' });
    expect(error.message).toContain(shardName(3));
    expect(await refusalOf(file.read('nobody.lists.this'))).toBe(error); // it might be in there
  });

  it('finds a tensor in another shard than the index says, and says where it was', async () => {
    using model = copyOfModel();
    model.editIndex((text) => text.replace(/("model.norm.weight": )"[^"]*"/, `$1"${shardName(1)}"`));
    using file = await openSharded(model.index);
    using shard = await openSafetensors(join(MODEL, shardName(3)));
    expect(await file.read('model.norm.weight')).toEqual(await shard.read('model.norm.weight'));
    expect(file.shardOf('model.norm.weight')).toEqual({
      path: shardName(3),
      fileName: model.pathOf(shardName(3)),
    });
    expect(file.shardOf('nobody.has.this')).toBeUndefined();
    expect(file.faultFor('nobody.has.this')).toBeUndefined();
  });

  it('says that index and shards differ where no shard has what the index lists', async () => {
    using model = copyOfModel();
    model.editIndex((text) => text.replace('"model.norm.weight"', '"model.norm.other"'));
    using file = await openSharded(model.index);
    const error = await refusalOf(file.read('model.norm.other'));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'missing_tensor' });
    expect(error.message).toContain(`model.norm.other is in ${model.pathOf(shardName(3))}`);
    expect(error.message).toContain('different versions');
  });

  it.each(['../secret.safetensors', '/etc/passwd', '..', 'a\\b', ''])(
    'never opens the shard name %p, and refuses it to whoever reads what it is to have',
    async (name) => {
      using model = copyOfModel();
      model.editIndex((text) => text.replace(/("model.norm.weight": )"[^"]*"/, `$1${JSON.stringify(name)}`));
      const asked: string[] = [];
      using file = await openSharded(model.index, async (path) => {
        asked.push(path);
        return await openSafetensors(model.pathOf(path));
      });
      expect(asked.sort()).toEqual([1, 2, 3].map(shardName));
      expect(file.tensors.size).toBe(34);
      const error = await refusalOf(file.read('model.norm.weight'));
      expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'shard_name' });
      expect(file.faultFor('model.norm.weight')).toBe(error);
      expect(file.faultFor('nobody.lists.this')).toBeUndefined();
    },
  );

  it('refuses an index without a weight map', async () => {
    using model = copyOfModel();
    model.editIndex(() => '{"weight_map": {"a": 1}}');
    const error = await refusalOf(openSharded(model.index));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_field' });
    expect(error.message).toContain('weight_map.a');
  });

  it.each(['{"weight_map": []}', '{"weight_map": ["a"]}', '[]'])(
    'refuses an index with a list: %s',
    async (text) => {
      using model = copyOfModel();
      model.editIndex(() => text);
      expect(await refusalOf(openSharded(model.index))).toMatchObject({ exitCode: 4, code: 'bad_field' });
    },
  );

  it('opens shards with the function given, keeps its errors for who needs what they hide, and closes what was open', async () => {
    const asked: string[] = [];
    let closed = 0;
    const failure = new NetworkError({ code: 'offline', message: 'no network' });
    const openShard = async (fileName: string): Promise<TensorFile> => {
      asked.push(fileName);
      if (fileName === shardName(2)) throw failure;
      const file = await openSafetensors(join(MODEL, fileName));
      const close = () => {
        closed++;
        file[Symbol.dispose]();
      };
      return { ...file, [Symbol.dispose]: close };
    };
    {
      using file = await openSharded(join(MODEL, INDEX), openShard);
      const hidden = [...(await contentsOf(openSafetensors(join(MODEL, shardName(2))))).keys()][0]!;
      expect(await refusalOf(file.read(hidden))).toBe(failure);
      expect(asked.sort()).toEqual([1, 2, 3].map(shardName));
      expect(closed).toBe(0);
    }
    expect(closed).toBe(2);
  });
});
