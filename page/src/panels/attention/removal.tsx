/** Page, panel Attention: removes the head in the model, and shows the true changes of the logits beside the predicted ones. */
import { signal } from '@preact/signals';
import type { HeadAnswer, HeadRemovalResult } from '../../../../src/viewer/api.ts';
import { Segments } from '../../parts/segments.tsx';
import { signed, visibleToken } from '../../parts/text.ts';
import { canAsk } from '../../store/attention.ts';
import { isBusy, job } from '../../store/jobs.ts';
import { isOf, measure, measuredRemoval, type Removal } from '../../store/removals.ts';
import { JobProgress } from '../try/progress.tsx';
import { Warnings } from './warnings.tsx';

/** What is removed: what the head brings to the query from all keys, or from the key that is shown. */
const scope = signal<'query' | 'key'>('query');

export function HeadRemoval({ answer }: { readonly answer: HeadAnswer }) {
  const { layer, head, query, key } = answer;
  const ofKey = scope.value === 'key';
  const removal: Removal = {
    ...{ layer, head },
    query: query.position,
    key: ofKey ? key.position : null,
  };
  const result = measuredRemoval(removal);
  if (!canAsk.value && result === null) {
    return (
      <p class="muted words">
        The model of this graph is not loaded: what the logits truly do without the head cannot be measured.
      </p>
    );
  }
  const busy = isBusy(job.value);
  const from = ofKey ? `from ${visibleToken(key.token)} at ${key.position}` : 'from all keys';
  const to = `to ${visibleToken(query.token)} at ${query.position}`;
  return (
    <div id="attention-removal">
      <div class="attention-tools">
        <Segments
          label="What is removed"
          name="removed"
          chosen={scope.value}
          onChoose={(chosen) => (scope.value = chosen)}
          choices={[
            ['query', 'From all keys'],
            ['key', 'From this key'],
          ]}
        />
        {canAsk.value && (
          // Not `disabled`, which would take the focus away while the job runs.
          <button
            type="button"
            class="button"
            aria-disabled={busy}
            aria-label={`Measure what the logits do without head ${layer}.${head}, ${to}, ${from}`}
            title="Removes what the head brings to this query in the model"
            onClick={() => {
              if (!busy) measure(removal);
            }}
          >
            Measure
          </button>
        )}
      </div>
      <Progress removal={removal} />
      {result !== null && <Changes result={result} caption={`Without what it brings ${to} ${from}`} />}
    </div>
  );
}

/** Of a job about another removal, only that it runs. */
function Progress({ removal }: { readonly removal: Removal }) {
  const request = job.value?.request;
  if (request?.kind === 'remove_head' && !isOf(request, removal)) {
    return isBusy(job.value) ? <p class="muted">Another head is being measured.</p> : null;
  }
  return (
    <JobProgress kind="remove_head">
      <Warnings />
    </JobProgress>
  );
}

function Changes({ result, caption }: { readonly result: HeadRemovalResult; readonly caption: string }) {
  return (
    <table class="effect" id="attention-measured">
      <caption>
        {caption}: change of each logit before the cap, relative to the mean logit. The prediction is the
        total effect with the sign turned.
      </caption>
      <thead>
        <tr>
          <th scope="col">Token</th>
          <th scope="col" class="num">
            Predicted
          </th>
          <th scope="col" class="num" title="attention patterns stay as they were; MLPs and norms react">
            Measured, patterns held
          </th>
          <th scope="col" class="num" title="attention patterns, MLPs and norms react">
            Measured, patterns free
          </th>
        </tr>
      </thead>
      <tbody>
        {result.effects.map(({ token_id, text, predicted, held, free }) => (
          <tr key={token_id}>
            <th scope="row">
              <code class="token">{visibleToken(text)}</code>
            </th>
            <td class="num">{signed(predicted)}</td>
            <td class="num">{signed(held)}</td>
            <td class="num">{signed(free)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
