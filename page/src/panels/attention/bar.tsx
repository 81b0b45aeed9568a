/** Page, panel Attention: a value as a bar to the right or to the left, in the colour of its sign, or in grey. */
import { signed } from '../../parts/text.ts';

export function Bar(props: { readonly value: number; readonly most: number; readonly isGrey?: boolean }) {
  const { value, most, isGrey = false } = props;
  const sign = value < 0 ? 'negative' : 'positive';
  return (
    <span class="signed-bar">
      <span class="centred" aria-hidden="true">
        <span
          class={isGrey ? `${sign} grey` : sign}
          style={{ inlineSize: `${most === 0 ? 0 : Math.min(1, Math.abs(value) / most) * 50}%` }}
        />
      </span>
      <span class="signed-number">{signed(value)}</span>
    </span>
  );
}

export function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
