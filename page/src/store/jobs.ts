/** Page, state: the job of this page. A page has one job at a time. */
import { signal } from '@preact/signals';
import type { JobRequest, JobStatus } from '../../../src/viewer/api.ts';
import {
  cancelJob,
  failureOf,
  followJob,
  hasEnded,
  lostConnection,
  postJob,
  RequestFailed,
  TOKEN_NEEDED,
} from '../server.ts';
import { announce } from './ui.ts';

export interface PageJob {
  readonly request: JobRequest;
  /** Null until the server has taken it. */
  readonly status: JobStatus | null;
  readonly error: Error | null;
}

export const job = signal<PageJob | null>(null);

/** Number of started requests: only the latest one is carried out. */
let turns = 0;
let stopFollowing: () => void = () => undefined;

/**
 * Key under which a running job is stored, so that a reloaded page finds it. After a page is closed, the server cancels the job.
 * Behind a proxy, several servers have the same origin and differ in their path.
 */
function sessionKey(): string {
  return `tracer.job ${location.pathname}`;
}

export function isBusy(of: PageJob | null): boolean {
  return of !== null && of.error === null && (of.status === null || !hasEnded(of.status));
}

/** Starts a job in place of the one before; `onDone` is called when it has a result. */
export async function startJob(
  request: JobRequest,
  onDone: (status: JobStatus) => void = () => undefined,
): Promise<void> {
  const turn = ++turns;
  await stopJob();
  if (turn !== turns) return; // another one was started while the last one was cancelled
  const mine: PageJob = { request, status: null, error: null };
  job.value = mine;
  const isMine = () => job.value?.request === request;
  const take = (status: JobStatus) => {
    if (!isMine()) return;
    job.value = { request, status, error: failureOf(status) };
    if (hasEnded(status)) {
      sessionStorage.removeItem(sessionKey());
      announce(endWords(status));
    }
    if (status.state === 'done') onDone(status);
  };
  try {
    const status = await postJob(request);
    if (!isMine()) {
      await cancelJob(status.id); // another one was started meanwhile
      return;
    }
    take(status);
    if (hasEnded(status)) return;
    follow(request, status, take);
  } catch (error) {
    if (isMine()) job.value = { request, status: null, error: error as Error };
  }
}

/** Continues with the job that was running when the page was reloaded. */
export function resumeJob(onDone: (request: JobRequest, status: JobStatus) => void): void {
  const kept = sessionStorage.getItem(sessionKey());
  if (kept === null) return;
  const { request, status } = JSON.parse(kept) as { request: JobRequest; status: JobStatus };
  job.value = { request, status, error: null };
  follow(request, status, (next) => {
    if (job.value?.request !== request) return;
    job.value = { request, status: next, error: failureOf(next) };
    if (hasEnded(next)) sessionStorage.removeItem(sessionKey());
    if (next.state === 'done') onDone(request, next);
  });
}

function follow(request: JobRequest, status: JobStatus, take: (status: JobStatus) => void): void {
  sessionStorage.setItem(sessionKey(), JSON.stringify({ request, status }));
  stopFollowing = followJob(status.id, take, () => {
    sessionStorage.removeItem(sessionKey());
    if (job.value?.request === request) job.value = { request, status: null, error: lostConnection() };
  });
}

/** Removes a job that was refused without the token, so that it can be started again. */
export function forgetRefusedJob(): void {
  const error = job.value?.error;
  if (error instanceof RequestFailed && error.code === TOKEN_NEEDED) job.value = null;
}

export async function stopJob(): Promise<void> {
  const now = job.value;
  stopFollowing();
  sessionStorage.removeItem(sessionKey());
  if (now === null || !isBusy(now)) return;
  if (now.status === null) {
    job.value = null; // `startJob` cancels it as soon as it knows its id
    return;
  }
  const status: JobStatus = { ...now.status, state: 'cancelled' };
  job.value = { request: now.request, status, error: null };
  try {
    await cancelJob(now.status.id);
  } catch (error) {
    // A job that has just ended, or that the server has forgotten, needs no cancelling.
    if (!(error instanceof RequestFailed)) throw error;
  }
}

function endWords({ state, error }: JobStatus): string {
  return state === 'failed' ? `Failed: ${error?.message ?? ''}` : state === 'done' ? 'Done.' : 'Cancelled.';
}
