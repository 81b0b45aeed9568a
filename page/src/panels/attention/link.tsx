/** Page, panel Attention: the heads that carry a link, by the last head of a path, by the first, or by any. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { LinkAnswer } from '../../../../src/viewer/api.ts';
import { Segments } from '../../parts/segments.tsx';
import { onListKey } from '../../parts/list-keys.ts';
import { percent, signed } from '../../parts/text.ts';
import { announce } from '../../store/ui.ts';
import { largest } from './bar.tsx';
import { HeadRow, PlainRow, type Row } from './head-row.tsx';
import { endName } from './names.ts';

type Edge = LinkAnswer['edges'][number];
type Side = 'last' | 'first' | 'through';

const SIDES: readonly (readonly [Side, string])[] = [
  ['last', 'Last head'],
  ['first', 'First head'],
  ['through', 'Any head'],
];
const MEANING: Record<Side, string> = {
  last: 'Direct and heads add up to the weight: each path counts for its last head, with the key that head reads.',
  first:
    'Direct and heads add up to the weight: each path counts for its first head, with the query that writes.',
  through:
    'What the link loses without the head. A path through several heads counts for each: these do not add up.',
};
/** Rows of the list; the others are its rest. */
const SHOWN = 12;
/** An answer that lists fewer heads than this lists all of them. */
const ALL_HEADS = 200;

const side = signal<Side>('last');

export function Link({ answer }: { readonly answer: LinkAnswer }) {
  const edge = answer.edges[0]!;
  const { source, target, weight, direct } = edge;
  const rows = rowsOf(edge, answer, side.value);
  useEffect(() => {
    const strongest = edge.last[0];
    const most = strongest === undefined ? 'no head' : `most by head ${strongest.layer}.${strongest.head}`;
    announce(`Link of weight ${signed(weight)}: direct ${signed(direct)}, ${most}.`);
  }, [answer]);
  const shown = rows.slice(0, SHOWN);
  const rest = shown.reduce((left, { value }) => left - value, weight - direct);
  const addsUp = side.value !== 'through';
  const most = largest([direct, ...shown.map(({ value }) => value), ...(addsUp ? [rest] : [])]);
  return (
    <section class="attention-part" id="attention-link" aria-labelledby="attention-link-title">
      <h3 id="attention-link-title">
        {endName(source)} → {endName(target)} <span class="muted">weight {signed(weight)}</span>
      </h3>
      <Segments
        label="Which head of a path"
        name="loading"
        choices={SIDES}
        chosen={side.value}
        onChoose={(chosen) => (side.value = chosen)}
      />
      <p class="muted small">{MEANING[side.value]}</p>
      <ul class="rows" aria-label="Heads of the link, strongest first" onKeyDown={onListKey}>
        <PlainRow title="direct" why="no head carries it" value={direct} most={most} />
        {shown.map((row) => (
          <HeadRow key={`${row.question.layer}.${row.question.head} ${row.position}`} row={row} most={most} />
        ))}
        {addsUp && <PlainRow title="rest" why="heads that are not listed" value={rest} most={most} isGrey />}
      </ul>
      <Hops edge={edge} />
    </section>
  );
}

/** What takes several heads in a row, where all heads are known. */
function Hops({ edge: { weight, direct, only } }: { readonly edge: Edge }) {
  if (only.length >= ALL_HEADS) return null;
  const single = only.reduce((sum, { value }) => sum + value, 0);
  const several = weight - direct - single;
  const share = weight === 0 ? '' : `, ${percent(several / weight)} of the weight`;
  return (
    <p class="muted small" id="attention-hops">
      Through one head alone {signed(single)}, through several in a row {signed(several)}
      {share}.
    </p>
  );
}

function rowsOf({ source, target, last, first, through }: Edge, { tokens }: LinkAnswer, of: Side): Row[] {
  const text = (position: number): string => tokens[position]?.text ?? '';
  const about = 'head';
  switch (of) {
    case 'last':
      return last.map(({ layer, head, key, value }) => ({
        value,
        end: 'key',
        token: text(key),
        position: key,
        question: { about, layer, head, query: target.position, key },
      }));
    case 'first':
      return first.map(({ layer, head, query, value }) => ({
        value,
        end: 'query',
        token: text(query),
        position: query,
        question: { about, layer, head, query, key: source.position },
      }));
    case 'through':
      return through.map(({ layer, head, value }) => ({
        value,
        end: 'query',
        token: '',
        position: null,
        question: { about, layer, head, query: target.position },
      }));
  }
}
