/** Viewer: a queue of jobs, one at a time. A job is stopped when it is cancelled or has no listener for a while. */
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

/** How long a job may have no listener. A page that is reloaded connects again within this time; one that was closed does not. */
const LISTENER_TIMEOUT_MS = 5_000;
/** Queued or running. */
const MOST_UNFINISHED = 32;
/** Kept for pages that ask for the result late. */
const MOST_FINISHED = 64;

type State = Pick<JobStatus, 'state' | 'progress' | 'warnings' | 'result' | 'error'>;

export class Job {
  readonly id = randomUUID();
  readonly work: Work;
  readonly stop = new AbortController();
  /** Resolves when the job is done, failed or cancelled. */
  readonly ended: Promise<void>;
  private state: State = { state: 'queued', progress: null, warnings: [], result: null, error: null };
  private listeners = 0;
  private listenerTimer: NodeJS.Timeout | undefined;
  private readonly listenerTimeoutMs: number;
  private readonly changeListeners = new Set<() => void>();
  private readonly aheadOf: (job: Job) => number;
  private end: () => void = () => undefined;

  constructor(work: Work, listenerTimeoutMs: number, aheadOf: (job: Job) => number) {
    this.work = work;
    this.listenerTimeoutMs = listenerTimeoutMs;
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
      clearTimeout(this.listenerTimer);
      this.end();
    }
    this.notify();
  }

  report(event: EngineEvent): void {
    if (event.kind === 'progress') {
      const { message, done = null, total = null } = event;
      this.update({ progress: { message, done, total } });
    } else if (event.kind === 'warning') {
      this.update({ warnings: [...this.state.warnings, event.message] });
    }
  }

  /** Resolves everything that waits for the next change. */
  notify(): void {
    for (const listener of this.changeListeners) listener();
    this.changeListeners.clear();
  }

  /** Resolves when the status changes next. */
  nextChange(): Promise<void> {
    return new Promise((resolve) => this.changeListeners.add(resolve));
  }

  /** Adds a listener, until the result is disposed. */
  listen(): Disposable {
    this.listeners++;
    clearTimeout(this.listenerTimer);
    return {
      [Symbol.dispose]: () => {
        if (--this.listeners === 0) this.waitForListener();
      },
    };
  }

  private waitForListener(): void {
    if (this.isFinished) return;
    this.listenerTimer = setTimeout(
      () => this.stop.abort(new Error('the job has no listener')),
      this.listenerTimeoutMs,
    );
    this.listenerTimer.unref();
  }
}

export class JobQueue {
  /** By id, in the order in which they were added. */
  private readonly jobs = new Map<string, Job>();
  private running: Promise<void> = Promise.resolve();
  private isClosed = false;
  private readonly listenerTimeoutMs: number;

  constructor(options: { readonly listenerTimeoutMs?: number } = {}) {
    this.listenerTimeoutMs = options.listenerTimeoutMs ?? LISTENER_TIMEOUT_MS;
  }

  /** Throws `RefusedError` when the queue is full. */
  add(work: Work): Job {
    if (this.isClosed || this.unfinished.length >= MOST_UNFINISHED) {
      throw new RefusedError(429, {
        code: 'queue_full',
        message: `${this.unfinished.length} jobs are queued or running already`,
        hint: 'Wait for one to end, or cancel one.',
      });
    }
    const job = new Job(work, this.listenerTimeoutMs, (one) => Math.max(0, this.unfinished.indexOf(one)));
    this.jobs.set(job.id, job);
    job.stop.signal.addEventListener('abort', () => {
      if (job.status.state === 'queued') this.finish(job, { state: 'cancelled' });
    });
    this.running = this.running.then(() => this.run(job));
    return job;
  }

  has(id: string): boolean {
    return this.jobs.has(id);
  }

  /** Throws `NotFoundError`. */
  find(id: string): Job {
    const job = this.jobs.get(id);
    if (job !== undefined) return job;
    throw new NotFoundError({
      code: 'unknown_job',
      message: `there is no job ${JSON.stringify(id)}`,
      hint: 'Jobs are removed some time after their end.',
    });
  }

  /** Resolves when the job has ended; one that had ended before stays as it was. */
  async cancel(job: Job): Promise<void> {
    if (!job.isFinished) job.stop.abort(new Error('cancelled'));
    await job.ended;
  }

  /** Cancels all jobs and resolves when nothing is running. */
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
    for (const other of this.unfinished) other.notify(); // fewer jobs are ahead of them
    const finished = [...this.jobs.values()].filter((one) => one.isFinished);
    for (const old of finished.slice(0, Math.max(0, finished.length - MOST_FINISHED))) {
      this.jobs.delete(old.id);
    }
  }
}
