/** Page, panel Attention: the button beside a link that asks for its heads. */
import type { PictureNode } from '../../../../src/picture/picture-graph.ts';
import { ask, canAsk, isAnswered, linkAsked } from '../../store/attention.ts';
import { labelOf } from '../../store/opened.ts';

/** Nothing where the link was not asked about and cannot be. */
export function HeadsButton(props: { readonly source: PictureNode; readonly target: PictureNode }) {
  const { source, target } = props;
  const isLink = source.kind !== 'logit' && (target.kind === 'feature' || target.kind === 'logit');
  const question = { about: 'link', source: source.id, target: target.id } as const;
  if (!isLink || !(canAsk.value || isAnswered(question))) return null;
  const asked = linkAsked.value;
  return (
    <button
      type="button"
      class="icon-button link-heads"
      aria-label={`Heads that carry the link from ${labelOf.value(source.index)} to ${labelOf.value(target.index)}`}
      aria-pressed={asked?.source === source.id && asked.target === target.id}
      title="Which heads carry this link"
      onClick={() => ask(question)}
    >
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M2.5 13.5C4 4 12 4 13.5 13.5M13.5 13.5l-2.6-2M13.5 13.5l1.4-3" />
      </svg>
    </button>
  );
}
