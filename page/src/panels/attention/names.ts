/** Page, panel Attention: names of sources and of the ends of links. */
import type { HeadAnswer, LinkAnswer } from '../../../../src/viewer/api.ts';
import { visibleToken } from '../../parts/text.ts';
import { labelOf, picture } from '../../store/opened.ts';

export type Source = HeadAnswer['pairs'][number]['query'];
export type End = LinkAnswer['edges'][number]['source'];

/** The node of the drawn graph; undefined for what is not drawn. */
export function nodeOf(id: string): number | undefined {
  return picture.value?.indexById.get(id);
}

export function endName({ id, label, token }: End): string {
  const index = nodeOf(id);
  return index === undefined ? (label ?? visibleToken(token)) : labelOf.value(index);
}

export function sourceName(source: Source): string {
  const { id, kind, layer, feature, token, label } = source;
  const index = nodeOf(id);
  if (index !== undefined) return labelOf.value(index);
  switch (kind) {
    case 'feature':
      return label ?? `feature ${feature}`;
    case 'error':
      return 'error';
    case 'token':
      return visibleToken(token ?? '');
    case 'position':
      return 'position';
    case 'bias':
      return `biases of layer ${layer}`;
    case 'first':
      return `first position, layer ${layer}`;
  }
}

/** Layer and token. */
export function sourcePlace({ kind, layer, token }: Source): string {
  if (kind === 'bias' || kind === 'first') return '';
  return [layer === null ? '' : `L${layer}`, token === null ? '' : visibleToken(token)]
    .filter(Boolean)
    .join(' ');
}
