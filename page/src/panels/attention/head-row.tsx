/** Page, panel Attention: a row of a list of heads, which leads to the head, and rows of what no head of the list has. */
import { ROW_BUTTON } from '../../parts/list-keys.ts';
import { signed, visibleToken } from '../../parts/text.ts';
import { ask, headAsked, type HeadQuestion } from '../../store/attention.ts';
import { Bar } from './bar.tsx';

export interface Row {
  readonly value: number;
  /** What the position is to the head. */
  readonly end: 'key' | 'query';
  readonly token: string;
  readonly position: number | null;
  readonly question: HeadQuestion;
}

export function HeadRow({ row, most }: { readonly row: Row; readonly most: number }) {
  const { value, end, token, position, question } = row;
  const { layer, head } = question;
  const now = headAsked.value;
  const place = position === null ? '' : `${end} ${visibleToken(token)} at ${position}`;
  return (
    <li
      class="row"
      aria-current={
        now?.layer === layer && now.head === head && now.key === question.key ? 'true' : undefined
      }
    >
      <button
        type="button"
        class={ROW_BUTTON}
        aria-label={`Head ${layer}.${head}, ${place}, ${signed(value)}: why it looks there`}
        onClick={() => ask(question)}
      >
        <span class="head-name">
          {layer}.{head}
        </span>
        <span class="row-label">{position !== null && <code class="token">{visibleToken(token)}</code>}</span>
        <span class="row-place">{position ?? ''}</span>
        <Bar value={value} most={most} />
      </button>
    </li>
  );
}

export function PlainRow(props: {
  readonly title: string;
  readonly why: string;
  readonly value: number;
  readonly most: number;
  readonly isGrey?: boolean;
}) {
  const { title, why, value, most, isGrey = false } = props;
  return (
    <li class={isGrey ? 'row plain-row muted' : 'row plain-row'} data-row={title}>
      <span class="head-name">{title}</span>
      <span class="row-label muted">{why}</span>
      <Bar value={value} most={most} isGrey={isGrey} />
    </li>
  );
}
