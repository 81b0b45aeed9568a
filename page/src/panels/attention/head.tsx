/** Page, panel Attention: why a head looks from a query to a key: its pattern, and what its score or a contrast is the sum of. */
import { useEffect, useRef } from 'preact/hooks';
import type { HeadAnswer } from '../../../../src/viewer/api.ts';
import { Segments } from '../../parts/segments.tsx';
import { number, percent, signed, visibleToken } from '../../parts/text.ts';
import { ask, headAsked, headPattern, questionOf, type HeadQuestion } from '../../store/attention.ts';
import { announce } from '../../store/ui.ts';
import { GroupTable } from './groups.tsx';
import { Keys } from './keys.tsx';
import { Pattern } from './pattern.tsx';
import { HeadRemoval } from './removal.tsx';
import { Shares } from './shares.tsx';
import { Marginals, Pairs } from './sources.tsx';

type Compared = 'score' | 'mean' | 'pattern' | 'key';

export function Head(props: {
  readonly answer: HeadAnswer;
  /** Another answer is on its way. */
  readonly isWaiting: boolean;
}) {
  const { answer, isWaiting } = props;
  const { layer, head, query, key, pattern, visible, tokens, total } = answer;
  const part = useRef<HTMLElement>(null);
  useEffect(() => part.current?.scrollIntoView({ block: 'start' }), [layer, head]);
  useEffect(() => {
    const places = `${visibleToken(query.token)} looks at ${visibleToken(key.token)} with ${percent(pattern)}`;
    announce(`Head ${layer}.${head}: ${places}; ${signed(total)} is explained.`);
  }, [answer]);
  const rows = headPattern.value;
  const texts = tokens.map(({ text }) => text);
  const choose = (at: { readonly query: number; readonly key: number }): void =>
    ask(withContrast({ about: 'head', layer, head, ...at }, answer.against));
  return (
    <section
      class="attention-part"
      id="attention-head"
      aria-labelledby="attention-head-title"
      aria-busy={isWaiting}
      ref={part}
    >
      <h3 id="attention-head-title">
        Head {layer}.{head}: <code class="token">{visibleToken(query.token)}</code>{' '}
        <span class="muted">at {query.position}</span> looks at{' '}
        <code class="token">{visibleToken(key.token)}</code> <span class="muted">at {key.position}</span> with{' '}
        {percent(pattern)}
      </h3>
      <div class="pattern-columns">
        {rows !== null && (
          <Pattern
            rows={rows}
            tokens={texts}
            query={query.position}
            cell={key.position}
            first={visible[0]}
            onChoose={choose}
          />
        )}
        <Keys answer={answer} onChoose={(chosen) => choose({ query: query.position, key: chosen })} />
      </div>
      <Comparison answer={answer} />
      <Shares answer={answer} />
      <Pairs answer={answer} />
      <Marginals answer={answer} />
      <GroupTable answer={answer} />
      <Effects answer={answer} />
    </section>
  );
}

/** The contrast goes on where there is one: another key than the one that is looked at, which the query sees. */
function withContrast(
  question: HeadQuestion & { readonly key: number },
  against: HeadAnswer['against'],
): HeadQuestion {
  if (against === null || question.query === 0) return question;
  if (typeof against === 'number' && (against === question.key || against > question.query)) return question;
  return { ...question, against };
}

/** Score or contrast, and the key to compare with. */
function Comparison({ answer }: { readonly answer: HeadAnswer }) {
  const { against, visible, key, tokens, score, total, contrasts } = answer;
  const [first, last] = visible;
  const others = Array.from({ length: last - first + 1 }, (_, i) => first + i).filter(
    (each) => each !== key.position,
  );
  const compared = comparedWith(against);
  // The choice is that of the question, whose answer may be on its way.
  const asked = headAsked.value?.against ?? null;
  const { against: _before, ...plain } = questionOf(answer);
  const choose = (chosen: Compared, other = others[0]!): void => {
    if (chosen === 'score') ask(plain);
    else ask({ ...plain, against: chosen === 'key' ? other : chosen });
  };
  return (
    <>
      <div class="attention-tools">
        <Segments
          label="What is explained"
          name="contrast"
          chosen={comparedWith(asked)}
          onChoose={choose}
          choices={
            others.length === 0
              ? [['score', 'Score']]
              : [
                  ['score', 'Score'],
                  ['mean', 'Against the mean'],
                  ['pattern', 'By the pattern'],
                  ['key', 'Against a key'],
                ]
          }
        />
        {typeof asked === 'number' && (
          <select
            aria-label="Key to compare with"
            value={String(asked)}
            onChange={(event) => choose('key', Number(event.currentTarget.value))}
          >
            {others.map((each) => (
              <option key={each} value={String(each)}>
                {each} {visibleToken(tokens[each]?.text ?? '')}
              </option>
            ))}
          </select>
        )}
      </div>
      <p class="small" id="attention-total">
        <strong>{signed(total)}</strong> <span class="muted">{WORDS[compared]}</span>
        {compared === 'score' && contrasts.mean !== null && contrasts.pattern !== null && (
          <span class="muted">
            ; {signed(contrasts.mean)} against the mean of the other keys, {signed(contrasts.pattern)} by the
            pattern
          </span>
        )}
        {compared !== 'score' && <span class="muted">; the score itself is {number(score)}</span>}
      </p>
    </>
  );
}

function comparedWith(against: HeadAnswer['against']): Compared {
  return against === null ? 'score' : typeof against === 'number' ? 'key' : against;
}

const WORDS: Record<Compared, string> = {
  score: 'is the score of this key, before cap and mask',
  mean: 'is how much higher its score is than the mean of the other keys',
  pattern: 'is how much higher its score is than the other keys, weighted by the pattern',
  key: 'is how much higher its score is than that of the other key',
};

/** What the head writes here does to the logits. */
function Effects({ answer }: { readonly answer: HeadAnswer }) {
  return (
    <details>
      <summary>Effect on the logits</summary>
      <table class="effect" id="attention-logits">
        <caption>Of what the head writes at this query from this key, in the linear model</caption>
        <thead>
          <tr>
            <th scope="col">Token</th>
            <th scope="col" class="num">
              Direct
            </th>
            <th scope="col" class="num">
              Total
            </th>
          </tr>
        </thead>
        <tbody>
          {answer.logit_effects.map(({ token_id, text, direct, total }) => (
            <tr key={token_id}>
              <th scope="row">
                <code class="token">{visibleToken(text)}</code>
              </th>
              <td class="num">{signed(direct)}</td>
              <td class="num">{signed(total)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <HeadRemoval answer={answer} />
    </details>
  );
}
