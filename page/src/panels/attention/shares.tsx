/** Page, panel Attention: how much of a score features and tokens explain, and in grey what errors, biases and the first position hold. */
import type { HeadAnswer } from '../../../../src/viewer/api.ts';
import { percent, signed } from '../../parts/text.ts';

const KINDS = [
  { name: 'feature', title: 'features', isGrey: false },
  { name: 'token', title: 'tokens', isGrey: false },
  { name: 'position', title: 'positions', isGrey: false },
  { name: 'error', title: 'errors', isGrey: true },
  { name: 'bias', title: 'biases', isGrey: true },
  { name: 'first', title: 'first position', isGrey: true },
] as const;

export function Shares({ answer: { by, groups } }: { readonly answer: HeadAnswer }) {
  if (by === undefined) return null;
  const { values } = by;
  const of = (side: 'query' | 'key') =>
    groups.layer.map((_, i) =>
      side === 'query'
        ? values[i]!.reduce((sum, value) => sum + value, 0)
        : values.reduce((sum, row) => sum + row[i]!, 0),
    );
  return (
    <div class="shares" id="attention-shares">
      <SideShares title="Query" sums={of('query')} names={groups.layer} />
      <SideShares title="Key" sums={of('key')} names={groups.layer} />
    </div>
  );
}

function SideShares(props: {
  readonly title: string;
  readonly sums: readonly number[];
  readonly names: readonly string[];
}) {
  const { title, sums, names } = props;
  const parts = KINDS.map((kind) => {
    const own = sums.filter((_, i) => names[i]!.split(' ')[0] === kind.name);
    return {
      ...kind,
      value: own.reduce((sum, value) => sum + value, 0),
      size: own.reduce((sum, value) => sum + Math.abs(value), 0),
    };
  }).filter(({ size }) => size > 0);
  const whole = parts.reduce((sum, { size }) => sum + size, 0);
  return (
    <div class="share-line">
      <span class="share-title">{title}</span>
      <span class="share-stack" aria-hidden="true">
        {parts.map(({ name, isGrey, size }) => (
          <span
            key={name}
            class={isGrey ? 'grey' : `of-${name}`}
            style={{ inlineSize: `${(size / whole) * 100}%` }}
          />
        ))}
      </span>
      <span class="share-words">
        {parts.map(({ name, title: words, isGrey, value, size }) => (
          <span key={name} class={isGrey ? 'muted' : undefined} data-share={name}>
            {words} {signed(value)} <span class="muted">({percent(size / whole)})</span>{' '}
          </span>
        ))}
      </span>
    </div>
  );
}
