/** Page, panels Try out and Attention: progress of the job, and the button that cancels it. */
import type { ComponentChildren } from 'preact';
import type { JobRequest } from '../../../../src/viewer/api.ts';
import { Problem } from '../../parts/panel.tsx';
import { count } from '../../parts/text.ts';
import { isBusy, job, stopJob } from '../../store/jobs.ts';

export function JobProgress({
  kind,
  children,
}: {
  readonly kind: JobRequest['kind'];
  readonly children?: ComponentChildren;
}) {
  const now = job.value;
  if (now === null) return null;
  if (now.request.kind !== kind) {
    return isBusy(now) ? <p class="muted">Another job of this page is running.</p> : null;
  }
  if (now.error !== null) return <Problem error={now.error} />;
  if (now.status?.state === 'cancelled')
    return (
      <p class="muted" id="job-state">
        Cancelled.
      </p>
    );
  if (!isBusy(now)) return <>{children}</>;
  const { state, ahead, progress } = now.status ?? { state: 'queued', ahead: 0, progress: null };
  const message =
    state === 'queued'
      ? ahead > 0
        ? `Waiting: ${count(ahead, 'job')} before this one`
        : 'Starting'
      : (progress?.message ?? 'Working');
  return (
    <div class="job" id="job-state">
      <span>{message} …</span>
      {progress !== null && progress.done !== null && progress.total !== null ? (
        <progress value={progress.done} max={progress.total} aria-label={message} />
      ) : (
        <progress aria-label={message} />
      )}
      <button type="button" class="button" id="job-cancel" onClick={() => void stopJob()}>
        Cancel
      </button>
    </div>
  );
}
