import { describe, expect, it } from '@jest/globals';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../../src/errors.ts';
import { memorySource } from '../../src/formats/byte-source.ts';
import { openTensorFile } from '../../src/formats/open-tensor-file.ts';
import { gemmaScopePath, GOLDEN, refusalOf, temporaryFolder, zip } from './support.ts';

describe('Opening weights of any format', () => {
  it.each([
    ['a safetensors file', join(GOLDEN, 'tiny-a/model/model.safetensors'), 46],
    ['the index of shards', join(GOLDEN, 'tiny-b/model/model.safetensors.index.json'), 35],
    ['an npz archive', gemmaScopePath('tiny-a', 3), 5],
  ])('opens %s', async (_, path, nTensors) => {
    using file = await openTensorFile(path);
    expect(file.tensors.size).toBe(nTensors);
    expect(file.name).toBe(path);
  });

  it('recognises the format when the name does not tell, as in a cache of blobs', async () => {
    using folder = temporaryFolder();
    const blob = join(folder.path, '0a1b2c');
    for (const [path, nTensors] of [
      [join(GOLDEN, 'tiny-a/model/model.safetensors'), 46],
      [gemmaScopePath('tiny-a', 3), 5],
    ] as const) {
      copyFileSync(path, blob);
      using file = await openTensorFile(blob);
      expect(file.tensors.size).toBe(nTensors);
    }
  });

  const pickle = Uint8Array.of(0x80, 2, 0x7d);
  const pointer = Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n');
  const cases: [string, string, Uint8Array, string, string][] = [
    ['a pickle', 'model.bin', pickle, 'unknown_format', 'safetensors'],
    [
      'a zipped pickle of PyTorch',
      'model.pt',
      zip([{ name: 'a/data.pkl', bytes: pickle }]),
      'npz_empty',
      'safetensors',
    ],
    ['a Git LFS pointer', 'model.safetensors', pointer, 'unknown_format', 'git lfs pull'],
    ['a page of a web site', 'params.npz', Buffer.from('<!doctype html>'), 'zip_damaged', 'Fetch'],
    ['a text', 'model.safetensors', Buffer.from('hello, world'), 'safetensors_header', 'Fetch'],
    ['an empty file', 'model', new Uint8Array(), 'safetensors_header', 'Fetch'],
  ];
  it.each(cases)('refuses %s, with what to do, and closes it', async (_, name, bytes, code, hint) => {
    let closed = 0;
    const source = { ...memorySource(name, bytes), [Symbol.dispose]: () => void closed++ };
    const error = await refusalOf(openTensorFile(source));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code });
    expect(error.message).toContain(name);
    expect(error.hint).toContain(hint);
    expect(closed).toBe(1);
  });

  it('refuses a folder and a missing file', async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, 'x'), '');
    expect(await refusalOf(openTensorFile(folder.path))).toMatchObject({
      exitCode: EXIT.badFile,
      code: 'not_a_file',
    });
    const missing = join(folder.path, 'model.safetensors.index.json');
    expect(await refusalOf(openTensorFile(missing))).toMatchObject({ exitCode: EXIT.notFound });
  });
});
