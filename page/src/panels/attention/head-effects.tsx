/** Page, panel Attention: heads by their effect on the first logit. */
import { onListKey, ROW_BUTTON } from '../../parts/list-keys.ts';
import { signed, visibleToken } from '../../parts/text.ts';
import { answers, ask } from '../../store/attention.ts';
import { opened } from '../../store/opened.ts';
import { Bar, largest } from './bar.tsx';

export function HeadEffects() {
  const effects = answers.value.effects;
  if (effects === null) return null;
  const { target, heads } = effects;
  const most = largest(heads.map(({ total }) => total));
  const tokens = opened.value?.graph.metadata.prompt_tokens ?? [];
  return (
    <section class="attention-part" id="attention-heads" aria-labelledby="attention-heads-title">
      <h3 id="attention-heads-title">
        Heads by their effect on <code class="token">{visibleToken(target.text)}</code>
      </h3>
      <p class="muted small">
        Total effect, also through features above, with the query and key where it is strongest.
      </p>
      <ul class="rows" aria-label="Heads by effect, strongest first" onKeyDown={onListKey}>
        {heads.map(({ layer, head, direct, total, query, key }) => {
          const places = `${visibleToken(tokens[query] ?? '')} ← ${visibleToken(tokens[key] ?? '')}`;
          return (
            <li class="row" key={`${layer}.${head}`}>
              <button
                type="button"
                class={ROW_BUTTON}
                aria-label={`Head ${layer}.${head}, ${places}, total ${signed(total)}, direct ${signed(direct)}`}
                title={`direct ${signed(direct)}`}
                onClick={() => ask({ about: 'head', layer, head, query, key })}
              >
                <span class="head-name">
                  {layer}.{head}
                </span>
                <span class="row-label">{places}</span>
                <Bar value={total} most={most} />
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
