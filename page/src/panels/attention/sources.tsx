/** Page, panel Attention: sources of queries and keys by marginal, and the strongest pairs of them, each leading to its node. */
import type { HeadAnswer } from '../../../../src/viewer/api.ts';
import { hover, pin, visitNode } from '../../actions.ts';
import { onListKey, ROW_BUTTON } from '../../parts/list-keys.ts';
import { KindMark, PinButton } from '../../parts/node-row.tsx';
import { signed } from '../../parts/text.ts';
import { exported } from '../../server.ts';
import { pinnedSet } from '../../store/annotations.ts';
import { clickedId, opened } from '../../store/opened.ts';
import { drawPinned } from '../../store/sync.ts';
import { Bar, largest } from './bar.tsx';
import { nodeOf, sourceName, sourcePlace, type Source } from './names.ts';

/** Rows of each list; the others are its rest. */
const SHOWN = 12;

export function Pairs({ answer: { pairs, total } }: { readonly answer: HeadAnswer }) {
  const shown = pairs.slice(0, SHOWN);
  const rest = shown.reduce((left, { value }) => left - value, total);
  const most = largest([...shown.map(({ value }) => value), rest]);
  return (
    <section id="attention-pairs" aria-labelledby="attention-pairs-title">
      <h4 id="attention-pairs-title">Strongest pairs</h4>
      <ul
        class="rows"
        aria-label="Pairs of a query source and a key source, strongest first"
        onKeyDown={onListKey}
      >
        {shown.map(({ query, key, value }) => (
          <li class="row pair-row" key={`${query.id} ${key.id}`}>
            <SourceButton source={query} spoken={`query, pair ${signed(value)}`} />
            <span class="muted" aria-hidden="true">
              ×
            </span>
            <SourceButton source={key} spoken={`key, pair ${signed(value)}`} />
            <Bar value={value} most={most} />
          </li>
        ))}
        <RestRow value={rest} most={most} />
      </ul>
    </section>
  );
}

export function Marginals({
  answer: { query_marginal, key_marginal, total },
}: {
  readonly answer: HeadAnswer;
}) {
  return (
    <div class="marginals">
      <Side title="Query sources" id="attention-queries" list={query_marginal} total={total} />
      <Side title="Key sources" id="attention-keys" list={key_marginal} total={total} />
    </div>
  );
}

function Side(props: {
  readonly title: string;
  readonly id: string;
  readonly list: HeadAnswer['query_marginal'];
  readonly total: number;
}) {
  const { title, id, list, total } = props;
  const shown = list.slice(0, SHOWN);
  const rest = shown.reduce((left, { value }) => left - value, total);
  const most = largest([...shown.map(({ value }) => value), rest]);
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <h4 id={`${id}-title`}>{title}</h4>
      <ul class="rows" aria-label={`${title}, strongest first`} onKeyDown={onListKey}>
        {shown.map((source) => (
          <li class="row source-row" key={source.id}>
            <SourceButton source={source} spoken={signed(source.value)} />
            <Bar value={source.value} most={most} isGrey={isPseudo(source)} />
          </li>
        ))}
        <RestRow value={rest} most={most} />
      </ul>
    </section>
  );
}

function RestRow({ value, most }: { readonly value: number; readonly most: number }) {
  return (
    <li class="row plain-row muted" data-row="rest">
      <span class="row-label">rest</span>
      <Bar value={value} most={most} isGrey />
    </li>
  );
}

/** A node of the drawn graph is selected; one that is not drawn can be pinned, and is drawn then. */
function SourceButton({ source, spoken }: { readonly source: Source; readonly spoken: string }) {
  const { id, kind } = source;
  const isDrawn = nodeOf(id) !== undefined;
  const [name, place] = [sourceName(source), sourcePlace(source)];
  const words = `${name}${place === '' ? '' : `, ${place}`}, ${spoken}`;
  const mark = kind === 'token' ? 'embedding' : kind === 'feature' || kind === 'error' ? kind : null;
  const inside = (
    <>
      {mark === null ? <span class="kind" /> : <KindMark kind={mark} />}
      <span class="row-label">{name}</span>
      <span class="row-place">{place}</span>
    </>
  );
  return (
    <span class="source" data-source={id} data-outside={isDrawn ? undefined : ''}>
      <button
        type="button"
        class={ROW_BUTTON}
        aria-label={isDrawn ? words : `${words}, not in the drawn graph`}
        aria-disabled={isDrawn ? undefined : 'true'}
        aria-current={isDrawn && clickedId.value === id ? 'true' : undefined}
        title={isDrawn ? `${name} ${place}` : `${name} ${place}: not in the drawn graph`}
        onClick={() => {
          if (isDrawn) visitNode(id);
        }}
        onFocus={() => isDrawn && hover(id)}
        onBlur={() => hover(null)}
        onMouseEnter={() => isDrawn && hover(id)}
        onMouseLeave={() => hover(null)}
      >
        {inside}
      </button>
      {!isDrawn && source.in_graph === true && opened.value?.kind === 'graph' && exported === null && (
        <DrawButton id={id} name={name} />
      )}
      {isDrawn && <PinButton id={id} label={name} isPinned={pinnedSet.value.has(id)} />}
    </span>
  );
}

function DrawButton({ id, name }: { readonly id: string; readonly name: string }) {
  return (
    <button
      type="button"
      class="icon-button draw"
      aria-label={`Pin ${name}, which draws it`}
      title="Pin: it is drawn then"
      onClick={() => {
        pin(id);
        void drawPinned();
      }}
    >
      +
    </button>
  );
}

function isPseudo({ kind }: Source): boolean {
  return kind === 'error' || kind === 'bias' || kind === 'first';
}
