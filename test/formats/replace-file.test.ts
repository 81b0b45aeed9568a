/** A file is replaced also on a system where others may hold it open for a while. */
import { describe, expect, it } from '@jest/globals';
import { replaceFile } from '../../src/formats/replace-file.ts';

/** A system whose `rename` fails so often, and how often it was called. */
function system(platform: NodeJS.Platform, code: string, failures: number) {
  const calls: string[][] = [];
  const rename = (from: unknown, to: unknown): Promise<void> => {
    calls.push([String(from), String(to)]);
    if (calls.length > failures) return Promise.resolve();
    return Promise.reject(Object.assign(new Error(code), { code, syscall: 'rename' }));
  };
  return { platform, rename, calls };
}

describe('replacing a file', () => {
  it.each(['EPERM', 'EACCES', 'EBUSY'])('waits on Windows while it is in use (%s)', async (code) => {
    const windows = system('win32', code, 3);
    await replaceFile('draft', 'file', windows);
    expect(windows.calls).toEqual(Array(4).fill(['draft', 'file']));
  });

  it('gives up when it stays in use', async () => {
    const windows = system('win32', 'EPERM', Infinity);
    await expect(replaceFile('draft', 'file', windows)).rejects.toMatchObject({ code: 'EPERM' });
    expect(windows.calls.length).toBe(8);
  });

  it('does not wait for what does not pass', async () => {
    const windows = system('win32', 'ENOSPC', 1);
    await expect(replaceFile('draft', 'file', windows)).rejects.toMatchObject({ code: 'ENOSPC' });
    for (const platform of ['linux', 'darwin'] as const) {
      const other = system(platform, 'EACCES', 1);
      await expect(replaceFile('draft', 'file', other)).rejects.toMatchObject({ code: 'EACCES' });
      expect(other.calls.length).toBe(1);
    }
    expect(windows.calls.length).toBe(1);
  });
});
