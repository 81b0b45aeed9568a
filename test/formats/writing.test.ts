import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BadFileError, EXIT, ExhaustedError, UsageError } from '../../src/errors.ts';
import { checkWritable, FILE_EXISTS, nameNewFile, writeFileAtomic } from '../../src/formats/atomic.ts';
import { makeFolder } from '../../src/formats/output-path.ts';
import { ELEMENT_BYTES, readable } from '../../src/formats/dtype.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { writeSafetensors } from '../../src/formats/safetensors-writer.ts';
import type { ElementType } from '../../src/formats/tensor-file.ts';
import { contentsOf, GOLDEN, refusalOf, temporaryFolder } from './support.ts';

/** A device that is always full. */
const FULL_DISK = '/dev/full';
const itOnLinux = existsSync(FULL_DISK) ? it : it.skip; // other systems have no such device

describe('Writing a file that has to be new', () => {
  const isNew = { existing: 'keep' } as const;
  const taken = { code: FILE_EXISTS, exitCode: EXIT.usage };

  it('writes it, complete or not at all', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'a/file');
    await writeFileAtomic(path, 'new', isNew);
    expect(readFileSync(path, 'utf8')).toBe('new');
    const failing = writeFileAtomic(
      join(folder.path, 'a/other'),
      () => Promise.reject(new Error('x')),
      isNew,
    );
    await expect(failing).rejects.toThrow('x');
    expect(readdirSync(join(folder.path, 'a'))).toEqual(['file']);
  });

  it('leaves whatever has the name: a file, a folder, a link to a file, a link to nothing', async () => {
    using folder = temporaryFolder();
    const at = (name: string): string => join(folder.path, name);
    writeFileSync(at('file'), 'old');
    mkdirSync(at('folder'));
    symlinkSync('file', at('link'));
    symlinkSync('nothing', at('dangling'));
    for (const name of ['file', 'folder', 'link', 'dangling']) {
      await expect(writeFileAtomic(at(name), 'new', isNew)).rejects.toMatchObject(taken);
    }
    expect(readFileSync(at('file'), 'utf8')).toBe('old');
    expect(readdirSync(folder.path).sort()).toEqual(['dangling', 'file', 'folder', 'link']);
  });

  it('leaves a file that appears while it is written', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    const writing = writeFileAtomic(
      path,
      async (writer) => {
        await writer.write('new');
        writeFileSync(path, 'theirs');
      },
      isNew,
    );
    await expect(writing).rejects.toMatchObject(taken);
    expect(readFileSync(path, 'utf8')).toBe('theirs');
    expect(readdirSync(folder.path)).toEqual(['file']);
  });

  it('is written by one of many at once, and the others are told', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    const texts = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(1_000));
    const outcomes = await Promise.allSettled(texts.map((text) => writeFileAtomic(path, text, isNew)));
    const winners = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
    expect(winners).toHaveLength(1);
    expect(readFileSync(path, 'utf8')).toBe(texts[winners[0]!]);
    expect(readdirSync(folder.path)).toEqual(['file']);
  });

  it.each(['EPERM', 'ENOTSUP', 'ENOSYS', 'EIO'])(
    'needs no hard links: on a disk that refuses them with %s it still replaces nothing',
    async (code) => {
      using folder = temporaryFolder();
      const at = (name: string): string => join(folder.path, name);
      const refuse = () => Promise.reject(Object.assign(new Error(code), { code, syscall: 'link' }));
      writeFileSync(at('draft'), 'new');
      await nameNewFile(at('draft'), at('file'), refuse);
      expect(readFileSync(at('file'), 'utf8')).toBe('new');
      writeFileSync(at('draft'), 'newer');
      await expect(nameNewFile(at('draft'), at('file'), refuse)).rejects.toMatchObject(taken);
      expect(readFileSync(at('file'), 'utf8')).toBe('new');
    },
  );
});

describe('Writing a file', () => {
  itOnLinux('fails where the system makes no folder and says that there is none above', async () => {
    const refused = await refusalOf(writeFileAtomic('/proc/nowhere/file', 'x'));
    expect(refused).toBeInstanceOf(ExhaustedError);
    expect(refused.message).toContain('/proc/nowhere');
  });

  it('makes missing folders and gives the file what was written piece by piece', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'a/b/file.txt');
    await writeFileAtomic(path, async (writer) => {
      await writer.write('one ');
      await writer.write(Uint8Array.of(0x32));
      await writer.write(Uint16Array.of(0x2133).subarray(0));
    });
    expect(readFileSync(path, 'utf8')).toBe('one 23!');
    expect(readdirSync(join(folder.path, 'a/b'))).toEqual(['file.txt']);
  });

  it('shows the old file until the new one is complete, then replaces it, keeping its permissions', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    writeFileSync(path, 'old');
    chmodSync(path, 0o600);
    await writeFileAtomic(path, async (writer) => {
      await writer.write('new');
      expect(readFileSync(path, 'utf8')).toBe('old');
    });
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('replaces the file behind a link and leaves the link', async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, 'target'), 'old');
    symlinkSync('target', join(folder.path, 'link'));
    await writeFileAtomic(join(folder.path, 'link'), 'new');
    expect(readFileSync(join(folder.path, 'target'), 'utf8')).toBe('new');
    expect(readdirSync(folder.path).sort()).toEqual(['link', 'target']);
  });

  it('replaces a link itself where it is told so', async () => {
    using folder = temporaryFolder();
    const [target, link] = [join(folder.path, 'target'), join(folder.path, 'link')];
    writeFileSync(target, 'old');
    symlinkSync('target', link);
    await writeFileAtomic(link, 'new', { existing: 'replace link' });
    expect(readFileSync(target, 'utf8')).toBe('old');
    expect(readFileSync(link, 'utf8')).toBe('new');
    expect(lstatSync(link).isFile()).toBe(true);
  });

  it('makes the file that a link points to and leaves the link, whatever form it has', async () => {
    using folder = temporaryFolder();
    const at = (name: string): string => join(folder.path, name);
    mkdirSync(at('sub/deep'), { recursive: true });
    mkdirSync(at('elsewhere'));
    symlinkSync('../../elsewhere', at('sub/deep/far')); // `..` behind it starts in elsewhere
    const links: [link: string, target: string, made: string][] = [
      ['relative', 'sub/a.txt', 'sub/a.txt'],
      ['absolute', at('sub/b.txt'), 'sub/b.txt'],
      ['second', 'first', 'sub/c.txt'],
      ['first', './sub/../sub/c.txt', 'sub/c.txt'],
      ['sub/inside', 'd.txt', 'sub/d.txt'],
      ['through', 'sub/deep/far/../e.txt', 'e.txt'],
    ];
    for (const [link, target] of links) symlinkSync(target, at(link));
    for (const [link, target, made] of links.filter(([name]) => name !== 'first')) {
      await checkWritable(at(link));
      await writeFileAtomic(at(link), link);
      expect(readlinkSync(at(link))).toBe(target);
      expect(lstatSync(at(made)).isFile()).toBe(true);
      expect(readFileSync(at(made), 'utf8')).toBe(link);
    }
    expect(readlinkSync(at('first'))).toBe('./sub/../sub/c.txt');
    expect(readdirSync(at('sub')).sort()).toEqual(['a.txt', 'b.txt', 'c.txt', 'd.txt', 'deep', 'inside']);
  });

  it('makes the folder that a link points to, when a file is to lie in it', async () => {
    using folder = temporaryFolder();
    symlinkSync('graphs', join(folder.path, 'link'));
    await checkWritable(join(folder.path, 'link/below/file'));
    await writeFileAtomic(join(folder.path, 'link/below/file'), 'x');
    expect(readlinkSync(join(folder.path, 'link'))).toBe('graphs');
    expect(readFileSync(join(folder.path, 'graphs/below/file'), 'utf8')).toBe('x');
  });

  it.each([
    ['whose folder is missing', 'gone/new.txt', 'there is no folder'],
    ['to a link whose folder is missing', 'other', 'there is no folder'],
    ['to itself', 'link', 'a circle of links'],
    ['to a link back', 'back', 'a circle of links'],
  ])('refuses a link %s, names it and leaves it', async (_, target, why) => {
    using folder = temporaryFolder();
    const link = join(folder.path, 'link');
    symlinkSync(target, link);
    symlinkSync('gone/new.txt', join(folder.path, 'other'));
    symlinkSync('link', join(folder.path, 'back'));
    const attempts = [
      () => checkWritable(link),
      () => writeFileAtomic(link, 'x'),
      () => checkWritable(join(link, 'x')),
    ];
    for (const attempt of attempts) {
      const error = await refusalOf(attempt());
      expect(error).toMatchObject({ exitCode: EXIT.exhausted, code: 'not_writable' });
      expect(error.message).toContain(link);
      expect(error.message).toContain(why);
    }
    expect(readlinkSync(link)).toBe(target);
    expect(readdirSync(folder.path).sort()).toEqual(['back', 'link', 'other']);
  });

  it('leaves the old file and no other when the writing fails, and passes the error on', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    writeFileSync(path, 'old');
    const reason = new BadFileError({ code: 'x', message: 'the source is damaged' });
    const failing = writeFileAtomic(path, async (writer) => {
      await writer.write('half');
      throw reason;
    });
    expect(await refusalOf(failing)).toBe(reason);
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(folder.path)).toEqual(['file']);
  });

  it('stops when it is aborted, and leaves nothing', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    const abort = new AbortController();
    const reason = new Error('interrupted');
    const writing = writeFileAtomic(
      path,
      async (writer) => {
        await writer.write('half');
        abort.abort(reason);
      },
      { signal: abort.signal },
    );
    await expect(writing).rejects.toBe(reason);
    await expect(writeFileAtomic(path, 'x', { signal: abort.signal })).rejects.toBe(reason);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it('refuses a folder, and a place below a file', async () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, 'folder'));
    writeFileSync(join(folder.path, 'file'), '');
    const isFolder = await refusalOf(writeFileAtomic(join(folder.path, 'folder'), 'x'));
    expect(isFolder).toBeInstanceOf(UsageError);
    const path = join(folder.path, 'file/below');
    const belowFile = await refusalOf(writeFileAtomic(path, 'x'));
    expect(belowFile).toBeInstanceOf(ExhaustedError);
    expect(belowFile).toMatchObject({ exitCode: EXIT.exhausted, code: 'not_writable' });
    expect(belowFile.message).toContain(path);
    for (const place of [join(folder.path, 'file'), join(path, 'deeper')]) {
      const error = await refusalOf(makeFolder(place));
      expect(error).toMatchObject({ exitCode: EXIT.exhausted, code: 'not_writable' });
      expect(error.message).toBe(`${join(folder.path, 'file')} is a file, but a folder is needed there`);
    }
  });

  itOnLinux('says that the disk is full, whether the place is a device or a draft in a folder', async () => {
    const device = await refusalOf(writeFileAtomic(FULL_DISK, 'x'));
    expect(device).toMatchObject({ exitCode: EXIT.exhausted, code: 'disk_full' });
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    const writing = writeFileAtomic(path, async () => {
      await using full = await open(FULL_DISK, 'w');
      await full.write('x');
    });
    expect(await refusalOf(writing)).toMatchObject({ exitCode: EXIT.exhausted, code: 'disk_full' });
    expect(readdirSync(folder.path)).toEqual([]);
  });
});

describe('Writing safetensors', () => {
  it('gives back what was read from a real file', async () => {
    using folder = temporaryFolder();
    const original = join(GOLDEN, 'tiny-b/transcoders/plt-jumprelu/layer_0.safetensors');
    const contents = await contentsOf(openSafetensors(original));
    const copy = join(folder.path, 'copy.safetensors');
    const tensors = [...contents.values()].map(({ info, bytes }) => ({
      ...readable(original, info),
      dtype: info.dtype as ElementType,
      data: bytes,
    }));
    await writeSafetensors(copy, tensors, { format: 'pt' });
    expect(await contentsOf(openSafetensors(copy))).toEqual(contents);
    using file = await openSafetensors(copy);
    expect(file.metadata).toEqual({ format: 'pt' });
  });

  it('gives back any tensors of any type, in pieces or whole, each aligned to its element size', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'any.safetensors');
    const dtypes = fc.constantFrom(...(Object.keys(ELEMENT_BYTES) as ElementType[]));
    const shapes = fc.array(fc.nat(4), { maxLength: 3 });
    const tensors = fc.uniqueArray(
      fc.record({ name: fc.string(), dtype: dtypes, shape: shapes, inPieces: fc.boolean() }),
      {
        selector: ({ name }) => name,
        maxLength: 6,
      },
    );
    const run = async (made: { name: string; dtype: ElementType; shape: number[]; inPieces: boolean }[]) => {
      const filled = made.map((tensor, i) => {
        const byteLength = tensor.shape.reduce((product, n) => product * n, ELEMENT_BYTES[tensor.dtype]);
        return { ...tensor, byteLength, data: new Uint8Array(byteLength).fill(i + 1) };
      });
      const pieces = (data: Uint8Array) => () => [data.subarray(0, 1), data.subarray(1)];
      await writeSafetensors(
        path,
        filled.map(({ inPieces, data, ...tensor }) => ({ ...tensor, data: inPieces ? pieces(data) : data })),
        { note: 'x' },
      );
      const contents = await contentsOf(openSafetensors(path));
      expect(contents.size).toBe(filled.length);
      for (const { name, dtype, shape, byteLength, data } of filled) {
        expect(contents.get(name)).toEqual({ info: { name, dtype, shape, byteLength }, bytes: data });
      }
      const written = readFileSync(path);
      const start = 8 + Number(written.readBigUInt64LE());
      const header = JSON.parse(written.toString('utf8', 8, start)) as Record<
        string,
        { data_offsets: number[] }
      >;
      for (const { name, dtype } of filled) {
        expect((start + header[name]!.data_offsets[0]!) % ELEMENT_BYTES[dtype]).toBe(0);
      }
    };
    await fc.assert(fc.asyncProperty(tensors, run), { numRuns: 60, examples: [[[]]] });
  });

  it('refuses bytes that do not fit the shape, and keeps the old file', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'x.safetensors');
    writeFileSync(path, 'old');
    const tensor = { name: 'a', dtype: 'F32', shape: [2], data: Float32Array.of(1) } as const;
    await expect(writeSafetensors(path, [tensor])).rejects.toThrow('tensor a has 8 bytes, but 4 were given');
    await expect(writeSafetensors(path, [{ ...tensor, name: '__metadata__' }])).rejects.toThrow('is taken');
    const good = { ...tensor, shape: [1] };
    await expect(writeSafetensors(path, [good, good])).rejects.toThrow('the tensor name a is taken');
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(folder.path)).toEqual(['x.safetensors']);
  });

  itOnLinux('says that the disk is full', async () => {
    const tensor = { name: 'a', dtype: 'U8', shape: [4], data: new Uint8Array(4) } as const;
    expect(await refusalOf(writeSafetensors(FULL_DISK, [tensor]))).toMatchObject({
      exitCode: EXIT.exhausted,
    });
  });
});
