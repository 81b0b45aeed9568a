import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { acquireLock, isAbandoned, listsFlock } from '../../src/formats/lock.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tracer-lock-'));
  path = join(folder, 'deep/blob.lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Elsewhere the system does not tell when a process started. */
const isLinux = process.platform === 'linux';
const NOBODY = 2 ** 22 + 1; // one more than the largest process id of Linux

function leaveLock(text: string, ageMs: number): void {
  writeFileSync(path, text);
  const then = new Date(Date.now() - ageMs);
  utimesSync(path, then, then);
}

describe('a lock', () => {
  it('names its holder and is gone when released', async () => {
    {
      await using _lock = await acquireLock(path);
      expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n${hostname()}\n`);
    }
    expect(readdirSync(join(folder, 'deep'))).toEqual([]);
  });

  it('lets one in at a time', async () => {
    let [inside, most] = [0, 0];
    const visit = async (): Promise<void> => {
      await using _lock = await acquireLock(path);
      most = Math.max(most, ++inside);
      await wait(5);
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 6 }, visit));
    expect({ inside, most }).toEqual({ inside: 0, most: 1 });
  });

  it('that is held can be waited for, and the wait given up', async () => {
    await using _lock = await acquireLock(path);
    const stop = new AbortController();
    let waits = 0;
    const waiting = acquireLock(path, { signal: stop.signal, onWait: () => (waits += 1) });
    await wait(300);
    stop.abort(new Error('Ctrl-C'));
    await expect(waiting).rejects.toThrow('Ctrl-C');
    expect(waits).toBe(1);
    expect(existsSync(path)).toBe(true);
  });

  it.each([
    ['a process that is gone', `${NOBODY}\n${hostname()}\n`, 0],
    ['another host that was silent for minutes', `${process.pid}\nelsewhere\n`, 120_000],
    ['Python, which leaves the file behind', '', 10_000],
  ])('of %s is broken', async (_, text, ageMs) => {
    mkdirSync(dirname(path), { recursive: true });
    leaveLock(text, ageMs);
    await using _lock = await acquireLock(path);
    expect(readFileSync(path, 'utf8')).toContain(String(process.pid));
    expect(readdirSync(join(folder, 'deep'))).toEqual(['blob.lock']);
  });

  it('that somebody else took over is not removed by its former holder', async () => {
    {
      await using _lock = await acquireLock(path);
      rmSync(path);
      leaveLock('1\nelsewhere\n', 0);
    }
    expect(readFileSync(path, 'utf8')).toBe('1\nelsewhere\n');
  });
});

describe('a process that is killed while it holds a lock', () => {
  it('leaves it to the next one at once', async () => {
    const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
    const holder = spawn(
      process.execPath,
      ['--import', here('../support/register.mjs'), here('child/hold-lock.ts'), path],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    expect(readFileSync(path, 'utf8')).toBe(`${holder.pid}\n${hostname()}\n`);
    holder.kill('SIGKILL');
    await new Promise((resolve) => holder.once('close', resolve));
    let waits = 0;
    await using _lock = await acquireLock(path, { onWait: () => (waits += 1) });
    expect(waits).toBe(0);
  });
});

describe('a holder', () => {
  const here = (pid: number): string => `${pid}\n${hostname()}\n`;

  it('is gone when its process is, or when the file of another host was not touched for long', () => {
    const nowMs = Date.now();
    expect(isAbandoned(here(process.pid), nowMs)).toBe(false);
    expect(isAbandoned(here(NOBODY), nowMs)).toBe(true);
    expect(isAbandoned(`${NOBODY}\nelsewhere\n`, nowMs)).toBe(false);
    expect(isAbandoned(`${process.pid}\nelsewhere\n`, nowMs - 120_000)).toBe(true);
    expect([isAbandoned('', nowMs - 100), isAbandoned('', nowMs - 5_000)]).toEqual([false, true]);
  });

  it('that computes for minutes keeps its lock; a process that was given its id later does not', () => {
    const [startMs, minutes] = [performance.timeOrigin, 600_000];
    expect(isAbandoned(here(process.pid), startMs + 1_000, startMs + minutes)).toBe(!isLinux);
    expect(isAbandoned(here(process.pid), startMs - 10_000, startMs + minutes)).toBe(true);
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
