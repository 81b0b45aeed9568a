/** Page, panel Attention: the heads that bring most to a node. */
import { useEffect } from 'preact/hooks';
import type { NodeAnswer } from '../../../../src/viewer/api.ts';
import { onListKey } from '../../parts/list-keys.ts';
import { signed } from '../../parts/text.ts';
import { announce } from '../../store/ui.ts';
import { largest } from './bar.tsx';
import { HeadRow, PlainRow, type Row } from './head-row.tsx';
import { endName } from './names.ts';

/** Rows of the list; the others are its rest. */
const SHOWN = 12;

export function NodeHeads({ answer }: { readonly answer: NodeAnswer }) {
  const { node, total, direct, heads, tokens } = answer;
  useEffect(() => {
    const strongest = heads[0];
    const most = strongest === undefined ? 'no head' : `most by head ${strongest.layer}.${strongest.head}`;
    announce(`Node that takes in ${signed(total)}: direct ${signed(direct)}, ${most}.`);
  }, [answer]);
  const shown = heads.slice(0, SHOWN).map(({ layer, head, key, value }): Row => ({
    value,
    end: 'key',
    token: tokens[key]?.text ?? '',
    position: key,
    question: { about: 'head', layer, head, query: node.position, key },
  }));
  const rest = shown.reduce((left, { value }) => left - value, total - direct);
  const most = largest([direct, ...shown.map(({ value }) => value), rest]);
  return (
    <section class="attention-part" id="attention-node" aria-labelledby="attention-node-title">
      <h3 id="attention-node-title">
        Heads of {endName(node)} <span class="muted">takes in {signed(total)}</span>
      </h3>
      <p class="muted small">
        Direct and heads add up to what the node takes in, biases outside of heads aside: each path counts for
        its last head, with the key that head takes most from.
      </p>
      <ul class="rows" aria-label="Heads of the node, strongest first" onKeyDown={onListKey}>
        <PlainRow title="direct" why="no head brings it" value={direct} most={most} isGrey />
        {shown.map((row) => (
          <HeadRow key={`${row.question.layer}.${row.question.head}`} row={row} most={most} />
        ))}
        <PlainRow title="rest" why="heads that are not listed" value={rest} most={most} isGrey />
      </ul>
    </section>
  );
}
