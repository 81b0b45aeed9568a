import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import type { EngineEvent, ProgressEvent } from '../../src/engine/request.ts';
import { describeAmount, makeReporter, type Loudness } from '../../src/report/progress.ts';
import { screenFor } from '../../src/report/screen.ts';

const MIB = 2 ** 20;

async function written(events: readonly EngineEvent[], loudness: Loudness = 'normal'): Promise<string> {
  const stream = new PassThrough();
  const reporter = await makeReporter(stream as unknown as NodeJS.WriteStream, screenFor({}, {}), loudness);
  for (const event of events) reporter.report(event);
  reporter.stop();
  stream.end();
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

function download(done: number, extra: Partial<ProgressEvent> = {}): ProgressEvent {
  return {
    kind: 'progress',
    phase: 'download',
    message: 'Fetching a',
    done,
    total: 4 * MIB,
    unit: 'bytes',
    ...extra,
  };
}

describe('progress off a terminal', () => {
  it('is one plain line a phase, however many events there are', async () => {
    const forward: EngineEvent = { kind: 'progress', phase: 'forward', message: 'Running' };
    const text = await written([download(0), download(MIB), forward, download(2 * MIB), forward]);
    expect(text).toBe('Fetching a (4.00 MiB)\nRunning\n');
  });

  it('shows notes and warnings as they come, without control characters', async () => {
    const text = await written([
      { kind: 'note', message: 'cpu was taken' },
      { kind: 'warning', message: 'slow\x1b[2J' },
    ]);
    expect(text).toBe('note: cpu was taken\nwarning: slow\\x1b[2J\n');
  });

  it('is nothing at all with --quiet', async () => {
    expect(await written([download(0), { kind: 'warning', message: 'slow' }], 'quiet')).toBe('');
  });
});

describe('the amount beside a spinner', () => {
  const start = { done: 0, atMs: 0 };

  it('has the rate and the time left, measured when they are not given', () => {
    expect(describeAmount(download(MIB), start, 1000)).toBe('1.00 MiB of 4.00 MiB, 1.00 MiB/s, 3 s left');
    expect(describeAmount(download(MIB, { bytesPerSecond: 2 * MIB, secondsLeft: 9 }), start, 1000)).toBe(
      '1.00 MiB of 4.00 MiB, 2.00 MiB/s, 9 s left',
    );
  });

  it('does not guess a rate from the first moments', () => {
    expect(describeAmount(download(MIB), start, 20)).toBe('1.00 MiB of 4.00 MiB');
  });

  it('counts rows, and is empty where nothing is counted', () => {
    const rows: ProgressEvent = {
      kind: 'progress',
      phase: 'x',
      message: 'm',
      done: 10,
      total: 2000,
      unit: 'rows',
    };
    expect(describeAmount(rows, start, 20)).toBe('10 of 2,000');
    expect(describeAmount({ kind: 'progress', phase: 'x', message: 'm' }, start, 1000)).toBe('');
  });
});
