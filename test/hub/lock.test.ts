import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { acquireLock, isAbandoned, listsFlock } from '../../src/hub/lock.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tracer-lock-'));
  path = join(folder, 'deep/blob.lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

const NOBODY = 2 ** 22 + 1; // one more than the largest process id of Linux

function leaveLock(text: string, ageMs: number): void {
  writeFileSync(path, text);
  const then = new Date(Date.now() - ageMs);
  utimesSync(path, then, then);
}

describe('a lock', () => {
  it('names its holder and is gone when released', async () => {
    const release = await acquireLock(path);
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n${hostname()}\n`);
    await release();
    expect(readdirSync(join(folder, 'deep'))).toEqual([]);
  });

  it('lets one in at a time', async () => {
    let [inside, most] = [0, 0];
    const visit = async (): Promise<void> => {
      const release = await acquireLock(path);
      most = Math.max(most, ++inside);
      await wait(5);
      inside -= 1;
      await release();
    };
    await Promise.all(Array.from({ length: 6 }, visit));
    expect({ inside, most }).toEqual({ inside: 0, most: 1 });
  });

  it('that is held can be waited for, and the wait given up', async () => {
    const release = await acquireLock(path);
    const stop = new AbortController();
    let waits = 0;
    const waiting = acquireLock(path, { signal: stop.signal, onWait: () => (waits += 1) });
    await wait(300);
    stop.abort(new Error('Ctrl-C'));
    await expect(waiting).rejects.toThrow('Ctrl-C');
    expect(waits).toBe(1);
    expect(existsSync(path)).toBe(true);
    await release();
  });

  it.each([
    ['a process that is gone', `${NOBODY}\n${hostname()}\n`, 0],
    ['another host that was silent for minutes', `${process.pid}\nelsewhere\n`, 120_000],
    ['Python, which leaves the file behind', '', 10_000],
  ])('of %s is broken', async (_, text, ageMs) => {
    await (
      await acquireLock(path)
    )();
    leaveLock(text, ageMs);
    const release = await acquireLock(path);
    expect(readFileSync(path, 'utf8')).toContain(String(process.pid));
    expect(readdirSync(join(folder, 'deep'))).toEqual(['blob.lock']);
    await release();
  });

  it('that somebody else took over is not removed by its former holder', async () => {
    const release = await acquireLock(path);
    rmSync(path);
    leaveLock('1\nelsewhere\n', 0);
    await release();
    expect(readFileSync(path, 'utf8')).toBe('1\nelsewhere\n');
  });
});

describe('a holder', () => {
  it('is gone when its process is, or its heart stopped', () => {
    expect(isAbandoned(`${process.pid}\n${hostname()}\n`, 0)).toBe(false);
    expect(isAbandoned(`${NOBODY}\n${hostname()}\n`, 0)).toBe(true);
    expect(isAbandoned(`${NOBODY}\nelsewhere\n`, 0)).toBe(false);
    expect(isAbandoned(`${process.pid}\n${hostname()}\n`, 120_000)).toBe(true);
    expect([isAbandoned('', 100), isAbandoned('', 5_000)]).toEqual([false, true]);
  });

  it('that locks the file with flock is seen in the table of the kernel', () => {
    const table =
      '1: POSIX  ADVISORY  WRITE 77 fe:00:5 0 EOF\n2: FLOCK  ADVISORY  WRITE 78 103:02:1234 0 EOF\n';
    const dev = ((0x103 << 8) | 2) >>> 0;
    expect(listsFlock(table, { dev, ino: 1234 })).toBe(true);
    expect(listsFlock(table, { dev, ino: 5 })).toBe(false);
    expect(listsFlock(table, { dev: 0xfe00, ino: 5 })).toBe(false); // another kind of lock
  });
});
