/** Viewer: work with the model, one piece at a time. A job is stopped when it is cancelled, and when nobody listens any more. */
import { randomUUID } from 'node:crypto';
import type { EngineEvent } from '../engine/request.ts';
import { NotFoundError } from '../errors.ts';
import type { JobResult, JobStatus } from './api.ts';
import { errorBody, RefusedError } from './http-errors.ts';

export interface WorkContext {
  readonly signal: AbortSignal;
  readonly onProgress: (event: EngineEvent) => void;
}

export type Work = (context: WorkContext) => Promise<JobResult>;

/** A page that is reloaded comes back within this; one that was closed does not. */
const UNHEARD_MS = 5_000;
/** Waiting or running. */
const MOST_UNFINISHED = 32;
/** For pages that ask late. */
const MOST_FINISHED = 64;

type State = Pick<JobStatus, 'state' | 'progress' | 'warnings' | 'result' | 'error'>;

export class Job {
  readonly id = randomUUID();
  readonly work: Work;
  readonly stop = new AbortController();
  /** Resolves when the job has ended in whatever way. */
  readonly ended: Promise<void>;
  private state: State = { state: 'queued', progress: null, warnings: [], result: null, error: null };
  private listeners = 0;
  private unheard: NodeJS.Timeout | undefined;
  private readonly unheardMs: number;
  private readonly wakers = new Set<() => void>();
  private readonly aheadOf: (job: Job) => number;
  private end: () => void = () => undefined;

  constructor(work: Work, unheardMs: number, aheadOf: (job: Job) => number) {
    this.work = work;
    this.unheardMs = unheardMs;
    this.aheadOf = aheadOf;
    this.ended = new Promise((resolve) => (this.end = resolve));
    this.waitForListener();
  }

  get isFinished(): boolean {
    return this.state.state !== 'queued' && this.state.state !== 'running';
  }

  get status(): JobStatus {
    return { id: this.id, ahead: this.aheadOf(this), ...this.state };
  }

  update(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    if (this.isFinished) {
      clearTimeout(this.unheard);
      this.end();
    }
    this.wake();
  }

  report(event: EngineEvent): void {
    if (event.kind === 'progress') {
      const { message, done = null, total = null } = event;
      this.update({ progress: { message, done, total } });
    } else if (event.kind === 'warning') {
      this.update({ warnings: [...this.state.warnings, event.message] });
    }
  }

  /** Lets those who wait for news look again. */
  wake(): void {
    for (const waker of this.wakers) waker();
    this.wakers.clear();
  }

  /** Resolves at the next news. */
  news(): Promise<void> {
    return new Promise((resolve) => this.wakers.add(resolve));
  }

  /** While the result is not disposed, somebody listens. */
  listen(): Disposable {
    this.listeners++;
    clearTimeout(this.unheard);
    return {
      [Symbol.dispose]: () => {
        if (--this.listeners === 0) this.waitForListener();
      },
    };
  }

  private waitForListener(): void {
    if (this.isFinished) return;
    this.unheard = setTimeout(() => this.stop.abort(new Error('nobody listens any more')), this.unheardMs);
    this.unheard.unref();
  }
}

export class JobQueue {
  /** In the order that they came in. */
  private readonly jobs = new Map<string, Job>();
  private running: Promise<void> = Promise.resolve();
  private isClosed = false;
  private readonly unheardMs: number;

  constructor(options: { readonly unheardMs?: number } = {}) {
    this.unheardMs = options.unheardMs ?? UNHEARD_MS;
  }

  /** Throws `RefusedError` when too many wait. */
  add(work: Work): Job {
    if (this.isClosed || this.unfinished.length >= MOST_UNFINISHED) {
      throw new RefusedError(429, {
        code: 'queue_full',
        message: `${this.unfinished.length} jobs wait already`,
        hint: 'Wait for one to end, or cancel one.',
      });
    }
    const job = new Job(work, this.unheardMs, (one) => Math.max(0, this.unfinished.indexOf(one)));
    this.jobs.set(job.id, job);
    job.stop.signal.addEventListener('abort', () => {
      if (job.status.state === 'queued') this.finish(job, { state: 'cancelled' });
    });
    this.running = this.running.then(() => this.run(job));
    return job;
  }

  /** Throws `NotFoundError`. */
  find(id: string): Job {
    const job = this.jobs.get(id);
    if (job !== undefined) return job;
    throw new NotFoundError({
      code: 'unknown_job',
      message: `there is no job ${JSON.stringify(id)}`,
      hint: 'Jobs are forgotten some time after their end.',
    });
  }

  /** Resolves when the job has ended, which may have been earlier and otherwise. */
  async cancel(job: Job): Promise<void> {
    if (!job.isFinished) job.stop.abort(new Error('cancelled'));
    await job.ended;
  }

  /** Cancels all jobs. Nothing is running any more when it resolves. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.unfinished.map((job) => this.cancel(job)));
    await this.running;
  }

  private get unfinished(): Job[] {
    return [...this.jobs.values()].filter((job) => !job.isFinished);
  }

  private async run(job: Job): Promise<void> {
    if (job.isFinished) return;
    job.update({ state: 'running' });
    const { signal } = job.stop;
    try {
      const result = await job.work({ signal, onProgress: (event) => job.report(event) });
      this.finish(job, { state: 'done', result });
    } catch (error) {
      this.finish(
        job,
        signal.aborted ? { state: 'cancelled' } : { state: 'failed', error: errorBody(error) },
      );
    }
  }

  private finish(job: Job, how: Partial<State>): void {
    job.update({ ...how, progress: null });
    for (const other of this.unfinished) other.wake(); // fewer are ahead of them
    const finished = [...this.jobs.values()].filter((one) => one.isFinished);
    for (const old of finished.slice(0, Math.max(0, finished.length - MOST_FINISHED))) {
      this.jobs.delete(old.id);
    }
  }
}
