import { describe, expect, it } from '@jest/globals';
import type { JobResult } from '../../src/viewer/api.ts';
import { JobQueue, type Job, type Work } from '../../src/viewer/jobs.ts';

const RESULT: JobResult = {
  kind: 'ablate',
  result: { source: 'a', target: 'b', predicted: 1, measured: 1, free: 1 },
};

/** Work that ends when it is told to, or when it is stopped. */
function heldWork(): { work: Work; finish: () => void; started: Promise<void> } {
  let finish = (): void => undefined;
  let start = (): void => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const started = new Promise<void>((resolve) => (start = resolve));
  return {
    finish: () => finish(),
    started,
    work: async ({ signal }) => {
      start();
      const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      await Promise.race([finished, stopped]);
      signal.throwIfAborted();
      return RESULT;
    },
  };
}

function heard(job: Job): Job {
  job.listen();
  return job;
}

describe('the queue', () => {
  it('runs one job at a time, in the order that they came in', async () => {
    const queue = new JobQueue();
    const [first, second, third] = [heldWork(), heldWork(), heldWork()];
    const jobs = [first, second, third].map(({ work }) => heard(queue.add(work)));
    await first.started;
    expect(jobs.map(({ status }) => [status.state, status.ahead])).toEqual([
      ['running', 0],
      ['queued', 1],
      ['queued', 2],
    ]);
    second.finish();
    first.finish();
    await jobs[1]!.ended;
    await third.started;
    expect(jobs.map(({ status }) => status.state)).toEqual(['done', 'done', 'running']);
    third.finish();
    await jobs[2]!.ended;
    expect(jobs[2]!.status.result).toEqual(RESULT);
  });

  it('goes on after a job that failed, and tells why it did', async () => {
    const queue = new JobQueue();
    const failed = heard(queue.add(() => Promise.reject(new Error('no weights'))));
    const next = heard(queue.add(() => Promise.resolve(RESULT)));
    await next.ended;
    expect(failed.status).toMatchObject({
      state: 'failed',
      result: null,
      error: { code: 'unexpected', message: 'no weights' },
    });
    expect(JSON.stringify(failed.status)).not.toMatch(/\.ts:\d+/);
    expect(next.status.state).toBe('done');
  });

  it('takes a waiting job out at once, and a running one as soon as it stops', async () => {
    const queue = new JobQueue();
    const [running, waiting] = [heldWork(), heldWork()];
    const [first, second] = [heard(queue.add(running.work)), heard(queue.add(waiting.work))];
    await running.started;
    await queue.cancel(second);
    expect(second.status.state).toBe('cancelled');
    expect(first.status.state).toBe('running');
    await queue.cancel(first);
    expect(first.status).toMatchObject({ state: 'cancelled', result: null, error: null });
    await queue.cancel(first); // once more does no harm
  });

  it('has room for so many, and says so beyond', async () => {
    const queue = new JobQueue();
    const held = heldWork();
    for (let i = 0; i < 32; i++) heard(queue.add(held.work));
    expect(() => queue.add(held.work)).toThrow(expect.objectContaining({ code: 'queue_full', status: 429 }));
    await queue.close();
    expect(() => queue.add(held.work)).toThrow(expect.objectContaining({ code: 'queue_full' }));
  });

  it('forgets jobs that ended long ago, and keeps the last ones for late listeners', async () => {
    const queue = new JobQueue();
    const jobs: Job[] = [];
    for (let i = 0; i < 100; i++) {
      jobs.push(heard(queue.add(() => Promise.resolve(RESULT))));
      await jobs[i]!.ended;
    }
    expect(() => queue.find(jobs[0]!.id)).toThrow(expect.objectContaining({ code: 'unknown_job' }));
    expect(queue.find(jobs[99]!.id).status.state).toBe('done');
  });
});

describe('a job that nobody listens to', () => {
  it('is cancelled after a while, whether it ever had a listener or not', async () => {
    const queue = new JobQueue({ listenerTimeoutMs: 30 });
    const never = queue.add(heldWork().work);
    await never.ended;
    const left = queue.add(heldWork().work);
    const listening = left.listen();
    const other = left.listen();
    listening[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(left.status.state).toBe('running'); // the other one still listens
    other[Symbol.dispose]();
    await left.ended;
    expect([never, left].map(({ status }) => status.state)).toEqual(['cancelled', 'cancelled']);
  });

  it('goes on when a listener comes back in time', async () => {
    const queue = new JobQueue({ listenerTimeoutMs: 50 });
    const held = heldWork();
    const job = queue.add(held.work);
    job.listen()[Symbol.dispose]();
    job.listen();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(job.status.state).toBe('running');
    held.finish();
    await job.ended;
    expect(job.status.state).toBe('done');
  });
});
