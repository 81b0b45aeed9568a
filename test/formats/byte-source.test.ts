import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BadFileError, EXIT, NotFoundError } from '../../src/errors.ts';
import { memorySource, openFileSource } from '../../src/formats/byte-source.ts';
import { refusalOf, temporaryFolder } from './support.ts';

const MIB = 2 ** 20;

describe('A file source', () => {
  it('reads the same bytes as the file has, across the chunks that are read at the same time', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'numbers');
    const numbers = Uint32Array.from({ length: 3 * MIB + 5 }, (_, i) => i * 2654435761);
    const bytes = new Uint8Array(numbers.buffer);
    writeFileSync(path, bytes);
    using source = await openFileSource(path);
    const offset = 3;
    const target = new Uint8Array(bytes.byteLength - offset);
    await source.read(offset, target);
    expect(source.size).toBe(bytes.byteLength);
    expect(Buffer.compare(target, bytes.subarray(offset))).toBe(0);
  });

  it('fills a part of larger memory and nothing around it', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    writeFileSync(path, 'abcdef');
    using source = await openFileSource(path);
    const memory = new Uint8Array(6);
    await source.read(1, memory.subarray(2, 5));
    expect(Buffer.from(memory).toString('latin1')).toBe('\0\0bcd\0');
  });

  it('follows a link', async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, 'blob'), 'abc');
    symlinkSync('blob', join(folder.path, 'name'));
    using source = await openFileSource(join(folder.path, 'name'));
    expect(source.size).toBe(3);
  });

  it('says that a missing file is not found, also below a file and behind a dead link', async () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, 'file'), '');
    symlinkSync('nowhere', join(folder.path, 'link'));
    for (const name of ['missing', 'file/below', 'link', 'x'.repeat(300)]) {
      const path = join(folder.path, name);
      const error = await refusalOf(openFileSource(path));
      expect(error).toBeInstanceOf(NotFoundError);
      expect(error).toMatchObject({ exitCode: EXIT.notFound, code: 'file_not_found' });
      expect(error.message).toContain(path);
    }
  });

  it('refuses a folder', async () => {
    using folder = temporaryFolder();
    const error = await refusalOf(openFileSource(folder.path));
    expect(error).toBeInstanceOf(BadFileError);
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'not_a_file' });
  });

  const itWithPipes = process.platform === 'win32' ? it.skip : it; // Windows has no named pipes in folders
  itWithPipes('refuses a pipe instead of waiting for a writer', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'pipe');
    execFileSync('mkfifo', [path]);
    expect(await refusalOf(openFileSource(path))).toMatchObject({
      exitCode: EXIT.badFile,
      code: 'not_a_file',
    });
  });

  it('refuses to read behind the end, before and after the file was cut', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    writeFileSync(path, 'abcdef');
    using source = await openFileSource(path);
    const outside = await refusalOf(source.read(4, new Uint8Array(3)));
    expect(outside).toMatchObject({ exitCode: EXIT.badFile, code: 'file_truncated' });
    truncateSync(path, 2);
    const cut = await refusalOf(source.read(0, new Uint8Array(6)));
    expect(cut).toMatchObject({ exitCode: EXIT.badFile, code: 'file_truncated' });
    expect(cut.message).toContain('ends at offset 2');
  });

  it('finishes the reads that run when it is closed, and refuses later ones', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    writeFileSync(path, Buffer.alloc(20 * MIB, 7));
    const source = await openFileSource(path);
    const target = new Uint8Array(source.size);
    const running = source.read(0, target);
    source[Symbol.dispose]();
    await running;
    expect(target.every((byte) => byte === 7)).toBe(true);
    await expect(source.read(0, target)).rejects.toThrow('after it was closed');
  });
});

describe('A memory source', () => {
  it('behaves like a file', async () => {
    const source = memorySource('bytes', Uint8Array.of(1, 2, 3));
    const target = new Uint8Array(2);
    await source.read(1, target);
    expect([...target]).toEqual([2, 3]);
    const error = await refusalOf(source.read(2, target));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'file_truncated' });
    expect(await refusalOf(source.read(-1, target))).toMatchObject({ code: 'file_truncated' });
  });
});
