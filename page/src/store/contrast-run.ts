/** Page, state: the contrast that the server computes for this page. It is beside the page's job, which uses the model. */
import type { ContrastJob, JobStatus, StudyContrast } from '../../../src/viewer/api.ts';
import { cancelJob, failureOf, followJob, hasEnded, lostConnection, postJob } from '../server.ts';

/** What the server was asked for. */
export type Loaded<T> =
  | { readonly state: 'idle' }
  | { readonly state: 'loading' }
  | { readonly state: 'here'; readonly value: T }
  | { readonly state: 'failed'; readonly error: Error };

export type LoadedContrast =
  | Loaded<StudyContrast>
  | { readonly state: 'running'; readonly status: JobStatus | null }
  | { readonly state: 'cancelled' };

export class ContrastRun {
  /** Number of started contrasts: only the latest one is told of. */
  #turn = 0;
  #id: string | null = null;
  #stopFollowing: () => void = () => undefined;

  /** In place of the one before. */
  start(job: ContrastJob, tell: (next: LoadedContrast) => void): void {
    this.stop(false);
    const turn = this.#turn;
    const take = (status: JobStatus): void => {
      if (turn !== this.#turn) return;
      if (hasEnded(status)) this.#id = null;
      tell(loadedOf(status));
    };
    postJob(job).then(
      (status) => {
        if (turn !== this.#turn) return void cancelJob(status.id).catch(() => undefined); // it may have ended
        this.#id = status.id;
        take(status);
        if (hasEnded(status)) return;
        this.#stopFollowing = followJob(status.id, take, () => {
          this.#id = null;
          if (turn === this.#turn) tell({ state: 'failed', error: lostConnection() });
        });
      },
      (error: Error) => {
        if (turn === this.#turn) tell({ state: 'failed', error });
      },
    );
  }

  /** @param last the page is being closed */
  stop(last: boolean): void {
    this.#turn++;
    this.#stopFollowing();
    if (this.#id !== null) void cancelJob(this.#id, last).catch(() => undefined); // it may have ended
    this.#id = null;
  }
}

function loadedOf(status: JobStatus): LoadedContrast {
  const { state, result } = status;
  if (state === 'done' && result?.kind === 'contrast') return { state: 'here', value: result.result };
  if (state === 'failed') return { state: 'failed', error: failureOf(status)! };
  return state === 'cancelled' ? { state: 'cancelled' } : { state: 'running', status };
}
