/** Page, parts: a token with visible spaces, and tokens coloured by activation. */
import { number, visibleToken } from './text.ts';

export function Token({ text }: { readonly text: string }) {
  return <code class="token">{visibleToken(text)}</code>;
}

/** Share of the strongest activation below which a token is not coloured. */
const LEAST_SHARE = 0.02;

export function HeatToken(props: {
  readonly text: string;
  readonly activation: number;
  readonly most: number;
  readonly marked: boolean;
}) {
  const { text, activation, most, marked } = props;
  const share = most > 0 ? Math.min(1, Math.max(0, activation / most)) : 0;
  if (share < LEAST_SHARE) return <span class={marked ? 'heat marked' : undefined}>{shown(text)}</span>;
  return (
    <span
      class={marked ? 'heat marked' : 'heat'}
      style={{ '--share': `${Math.round(share * 100)}%` }}
      title={`activation ${number(activation)}`}
    >
      {shown(text)}
    </span>
  );
}

function shown(text: string): string {
  return text.replace(/\n/g, '⏎').replace(/\t/g, '⇥');
}
