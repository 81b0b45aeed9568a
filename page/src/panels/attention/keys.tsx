/** Page, panel Attention: the row of the pattern as a list, the keys that the query looks at most first. */
import type { HeadAnswer } from '../../../../src/viewer/api.ts';
import { onListKey, ROW_BUTTON } from '../../parts/list-keys.ts';
import { percent, visibleToken } from '../../parts/text.ts';

const SHOWN = 10;

export function Keys(props: { readonly answer: HeadAnswer; readonly onChoose: (key: number) => void }) {
  const { answer, onChoose } = props;
  const { pattern_row, visible, tokens, query, key } = answer;
  const keys = pattern_row
    .map((share, i) => ({ position: visible[0] + i, share }))
    .sort((a, b) => b.share - a.share);
  const shown = keys.slice(0, SHOWN);
  const rest = keys.slice(SHOWN).reduce((sum, { share }) => sum + share, 0);
  return (
    <section class="keys" aria-labelledby="attention-keys-title">
      <h4 id="attention-keys-title">
        Keys of <code class="token">{visibleToken(query.token)}</code>
      </h4>
      <ul class="rows" aria-label="Keys that the query looks at, most first" onKeyDown={onListKey}>
        {shown.map(({ position, share }) => {
          const token = visibleToken(tokens[position]?.text ?? '');
          return (
            <li
              class="row"
              key={position}
              data-key={position}
              aria-current={position === key.position ? 'true' : undefined}
            >
              <button
                type="button"
                class={ROW_BUTTON}
                aria-label={`Key ${position} ${token}, ${percent(share)}`}
                onClick={() => onChoose(position)}
              >
                <span class="row-place">{position}</span>
                <span class="row-label">
                  <code class="token">{token}</code>
                </span>
                <span class="share-bar" aria-hidden="true">
                  <span style={{ inlineSize: `${share * 100}%` }} />
                </span>
                <span class="node-value">{percent(share)}</span>
              </button>
            </li>
          );
        })}
      </ul>
      {keys.length > SHOWN && (
        <p class="muted small">
          {keys.length - SHOWN} others {percent(rest)}
        </p>
      )}
    </section>
  );
}
