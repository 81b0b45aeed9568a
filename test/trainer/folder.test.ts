/** The folder of a set is written by one training at a time; one that is resumed waits until a lost process counts as gone. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { claimFolder } from '../../src/engine/train/folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracer-claim-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A lock that a process on another machine touched last so many seconds ago; it counts as held for 60. */
function lockedElsewhere(name: string, secondsAgo: number): string {
  const output = join(folder, name);
  const lock = join(output, '.train/lock');
  mkdirSync(join(output, '.train'), { recursive: true });
  writeFileSync(lock, '17\nlost-machine\n');
  const touched = Date.now() / 1000 - secondsAgo;
  utimesSync(lock, touched, touched);
  return output;
}

const request = (output: string) => ({ corpus: [], output });

describe('The folder of a training', () => {
  it('is refused while another one writes to it', async () => {
    await using _held = await claimFolder(request(join(folder, 'held')));
    await expect(claimFolder(request(join(folder, 'held')))).rejects.toMatchObject({
      code: 'training_running',
    });
  });

  it('is had by one that is resumed as soon as the lock of a lost process is old', async () => {
    const output = lockedElsewhere('lost', 58);
    await expect(claimFolder(request(output))).rejects.toMatchObject({ code: 'training_running' });
    const notes: unknown[] = [];
    await using _held = await claimFolder({
      ...request(output),
      resume: true,
      onProgress: (event) => notes.push(event),
    });
    expect(notes).toEqual([{ kind: 'note', message: expect.stringContaining('waiting') }]);
    expect(readdirSync(join(output, '.train'))).toEqual(['lock']);
  });

  it('is refused when a set has appeared in it while it was waited for', async () => {
    const output = lockedElsewhere('ended', 58);
    const claimed = claimFolder({ ...request(output), resume: true });
    writeFileSync(join(output, 'config.yaml'), '');
    await expect(claimed).rejects.toMatchObject({ code: 'set_exists' });
    expect(readdirSync(output)).toEqual(['config.yaml']);
  });

  it('is waited for until the signal', async () => {
    const output = lockedElsewhere('waiting', 0);
    const stopped = new AbortController();
    const onProgress = (): void => stopped.abort(new Error('stopped'));
    const claimed = claimFolder({ ...request(output), resume: true, signal: stopped.signal, onProgress });
    await expect(claimed).rejects.toThrow('stopped');
  });
});
