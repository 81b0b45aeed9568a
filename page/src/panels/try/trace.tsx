/** Page, panel Try out: traces a prompt and opens its graph. */
import { signal } from '@preact/signals';
import type { JobStatus } from '../../../../src/viewer/api.ts';
import { count, percent } from '../../parts/text.ts';
import { Token } from '../../parts/token.tsx';
import { isBusy, job, startJob } from '../../store/jobs.ts';
import { visit } from '../../store/sync.ts';
import { loadGraphs } from '../../store/opened.ts';
import { JobProgress } from './progress.tsx';

const prompt = signal('');
const isChat = signal(false);

export function Trace() {
  const busy = isBusy(job.value);
  const canTrace = !busy && prompt.value.trim() !== '';
  const trace = () => {
    if (!canTrace) return;
    const asked = { kind: 'trace', prompt: prompt.value, ...(isChat.value && { chat: true }) } as const;
    void startJob(asked, openTraced);
  };
  return (
    <form
      class="trace"
      onSubmit={(event) => {
        event.preventDefault();
        trace();
      }}
    >
      <textarea
        id="trace-prompt"
        rows={3}
        aria-label="Prompt to trace"
        placeholder="The capital of the state containing Dallas is"
        value={prompt.value}
        onInput={(event) => (prompt.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) trace();
        }}
      />
      <label class="trace-chat">
        <input
          type="checkbox"
          id="trace-chat"
          checked={isChat.value}
          onChange={(event) => (isChat.value = event.currentTarget.checked)}
        />{' '}
        as a chat (the checkpoint’s template)
      </label>
      <button type="submit" class="button primary" id="trace-start" disabled={!canTrace}>
        Trace
      </button>
      <JobProgress kind="trace">
        <Traced />
      </JobProgress>
    </form>
  );
}

/** Also called for a job that was running when the page was reloaded. */
export function openTraced({ result }: JobStatus): void {
  if (result?.kind !== 'trace') return;
  void loadGraphs();
  void visit(result.slug);
}

function Traced() {
  const result = job.value?.status?.result;
  if (result?.kind !== 'trace') return null;
  const { n_nodes, n_selected_features, logit_targets, scores } = result.result;
  return (
    <div class="result">
      <p>
        Opened <strong>{result.slug}</strong>: {count(n_selected_features, 'feature')},{' '}
        {count(n_nodes, 'node')} before pruning, replacement score {percent(scores.replacement)}.
      </p>
      <p class="tokens">
        {logit_targets.map(({ token_id, text, probability }) => (
          <span key={token_id}>
            <Token text={text} /> {percent(probability)}
          </span>
        ))}
      </p>
    </div>
  );
}
