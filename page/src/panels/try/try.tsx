/** Page, panel Try out: jobs for the model of the server: trace a prompt, steer features, ablate the source of a link. */
import { Empty } from '../../parts/panel.tsx';
import { info, opened } from '../../store/opened.ts';
import { Ablate } from './ablate.tsx';
import { Steer } from './steer.tsx';
import { Trace } from './trace.tsx';
import { tryKind, type TryKind } from './kind.ts';

const KINDS: readonly (readonly [TryKind, string])[] = [
  ['trace', 'Trace a prompt'],
  ['steer', 'Steer'],
  ['ablate', 'Ablate a link'],
];

export function Try() {
  const server = info.value;
  if (server === null) return <Empty>Loading …</Empty>;
  if (server.model === null) {
    return (
      <Empty>
        {server.why ?? 'No model is loaded.'} To trace prompts and steer features, start{' '}
        <code>tracer serve</code> with <code>--model</code> and <code>--transcoders</code>.
      </Empty>
    );
  }
  if (opened.value === null) {
    return (
      <div class="try">
        <Trace />
      </div>
    );
  }
  return (
    <div class="try">
      <div class="segments" role="radiogroup" aria-label="What to try">
        {KINDS.map(([kind, title]) => (
          <label key={kind}>
            <input
              type="radio"
              name="try"
              checked={tryKind.value === kind}
              onChange={() => (tryKind.value = kind)}
            />
            <span>{title}</span>
          </label>
        ))}
        <span class="muted model-name" title={`${server.model.model} with ${server.model.transcoders}`}>
          on {server.model.model}
        </span>
      </div>
      {tryKind.value === 'trace' && <Trace />}
      {tryKind.value === 'steer' && <Steer />}
      {tryKind.value === 'ablate' && <Ablate />}
    </div>
  );
}
