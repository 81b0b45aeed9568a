/** Page, panel Try out: ablates the source of a link and compares the measured effect with the predicted one. */
import { signal } from '@preact/signals';
import { clickedIndex, labelOf, opened, picture } from '../../store/opened.ts';
import { isBusy, job, startJob } from '../../store/jobs.ts';
import { signed } from '../../parts/text.ts';
import { tryKind } from './kind.ts';
import { JobProgress } from './progress.tsx';

const link = signal<{ readonly slug: string; readonly source: string; readonly target: string } | null>(null);

/** Starts the job at once, since the link is chosen already. */
export function startAblation(source: string, target: string): void {
  const slug = opened.value?.slug;
  if (slug === undefined) return;
  tryKind.value = 'ablate';
  link.value = { slug, source, target };
  void startJob({ kind: 'ablate', slug, source, target });
}

export function Ablate() {
  const chosen = link.value?.slug === opened.value?.slug ? link.value : null;
  if (opened.value?.canSteer !== true) {
    return <p class="muted words">The loaded model is not the one that this graph was made with.</p>;
  }
  return (
    <div class="ablate">
      {chosen === null ? (
        <p class="muted words">
          Press ⌁ beside a connection{clickedIndex.value === null && ' (click a node first)'}: its source is
          set to zero in the model, and the change of its target is compared with the link’s weight.
        </p>
      ) : (
        <p class="words">
          Effect of ablating <strong>{name(chosen.source)}</strong> on <strong>{name(chosen.target)}</strong>{' '}
          <button
            type="button"
            class="button"
            disabled={isBusy(job.value)}
            onClick={() => startAblation(chosen.source, chosen.target)}
          >
            Again
          </button>
        </p>
      )}
      <JobProgress kind="ablate">
        <Comparison />
      </JobProgress>
    </div>
  );
}

function Comparison() {
  const result = job.value?.status?.result;
  if (result?.kind !== 'ablate') return null;
  const { predicted, measured, free } = result.result;
  const most = Math.max(Math.abs(predicted), Math.abs(measured), Math.abs(free), Number.MIN_VALUE);
  const rows = [
    ['The link predicts', predicted, 'its weight with the sign turned'],
    ['Measured, all else frozen', measured, 'attention patterns, norms and other features stay as they were'],
    ['Measured, only attention frozen', free, 'features in between change'],
  ] as const;
  return (
    <table class="effect" id="ablation">
      <caption>Change of the target when the source is ablated</caption>
      <tbody>
        {rows.map(([title, value, why]) => (
          <tr key={title}>
            <th scope="row" title={why}>
              {title}
            </th>
            <td class="centred" aria-hidden="true">
              <span
                class={value < 0 ? 'negative' : 'positive'}
                style={{ inlineSize: `${(Math.abs(value) / most) * 50}%` }}
              />
            </td>
            <td class="num">{signed(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function name(id: string): string {
  const index = picture.value?.indexById.get(id);
  return index === undefined ? id : labelOf.value(index);
}
