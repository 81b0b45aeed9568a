import { describe, expect, it } from '@jest/globals';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../../src/errors.ts';
import { memorySource } from '../../src/formats/byte-source.ts';
import { openTensorFile } from '../../src/formats/open-tensor-file.ts';
import { gemmaScopePath, GOLDEN, refusalOf, safetensors, temporaryFolder, zip } from './support.ts';
import { PAGES, POINTER } from './saved-instead.ts';

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
  const cases: [string, string, Uint8Array, string, string][] = [
    ['a pickle', 'model.bin', pickle, 'unknown_format', 'safetensors'],
    [
      'a zipped pickle of PyTorch',
      'model.pt',
      zip([{ name: 'a/data.pkl', bytes: pickle }]),
      'unknown_format',
      'weights_only=True',
    ],
    ['a Git LFS pointer', 'model.safetensors', Buffer.from(POINTER), 'unknown_format', 'git lfs pull'],
    ['a Git LFS pointer of an archive', 'params.npz', Buffer.from(POINTER), 'unknown_format', 'git lfs pull'],
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

  it.each(
    PAGES.flatMap(([title, page]) => [
      [title, 'params.npz', page] as const,
      [title, 'model.safetensors', page] as const,
    ]),
  )(
    // prettier-ignore
    'says that it is an HTML page: %s as %s',
    async (_, name, page) => {
      const error = await refusalOf(openTensorFile(memorySource(name, page)));
      expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'unknown_format' });
      expect(error.message).toContain(`${name} is an HTML page`);
      expect(error.hint).toContain('Fetch the file itself');
    },
  );

  it('does not take a damaged file for a page because its length begins with the same signs', async () => {
    const header = `{"a":{"dtype":"F32"}${' '.repeat(0x213c - 22)}}`; // a length of 0x213c is stored as "<!"
    expect(header).toHaveLength(0x213c - 1);
    const error = await refusalOf(
      openTensorFile(memorySource('model.safetensors', safetensors(`${header} `))),
    );
    expect(error.code).toBe('tensor_shape');
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
