/** Page, panel Attention: the button that asks for the heads of the clicked node. */
import { ask, canAsk, isAnswered, nodeAsked } from '../../store/attention.ts';
import { clickedIndex, labelOf, picture } from '../../store/opened.ts';

/** Nothing for nodes to which no head brings anything, and where the node was not asked about and cannot be. */
export function NodeButton() {
  const index = clickedIndex.value;
  const node = index === null ? undefined : picture.value?.nodes[index];
  if (node === undefined || (node.kind !== 'feature' && node.kind !== 'logit')) return null;
  const question = { about: 'node', node: node.id } as const;
  if (!(canAsk.value || isAnswered(question))) return null;
  const label = labelOf.value(node.index);
  return (
    <button
      type="button"
      class="button of-node"
      id="attention-of-node"
      aria-pressed={nodeAsked.value?.node === node.id}
      title={`Which heads bring most to ${label}`}
      onClick={() => ask(question)}
    >
      <span>Heads of {label}</span>
    </button>
  );
}
