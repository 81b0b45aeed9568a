/** Page, state: pages of features, fetched when they are first shown and kept until another graph is opened. */
import { effect, signal } from '@preact/signals';
import type { FeatureDetail } from '../../../src/viewer/api.ts';
import { fetchFeature, saveLabel } from '../server.ts';
import { edit, annotations } from './annotations.ts';
import { opened, picture, applyLabel } from './opened.ts';

export type Detail =
  | { readonly state: 'loading' }
  | { readonly state: 'here'; readonly detail: FeatureDetail }
  | { readonly state: 'failed'; readonly error: Error };

const details = signal<ReadonlyMap<string, Detail>>(new Map());

let slug: string | undefined;
effect(() => {
  if (opened.value?.slug === slug) return;
  slug = opened.value?.slug;
  details.value = new Map();
});

/** The loaded detail of a feature; `requestDetail` loads it. */
export function detailOf(layer: number, feature: number): Detail | undefined {
  return details.value.get(`${layer}_${feature}`);
}

export function requestDetail(layer: number, feature: number): void {
  const before = details.peek().get(`${layer}_${feature}`);
  if (before === undefined || before.state === 'failed') void load(layer, feature);
}

async function load(layer: number, feature: number): Promise<void> {
  const of = slug;
  if (of === undefined) return;
  put(layer, feature, { state: 'loading' });
  try {
    const detail = await fetchFeature(of, layer, feature);
    if (of === slug) put(layer, feature, { state: 'here', detail });
  } catch (error) {
    if (of === slug) put(layer, feature, { state: 'failed', error: error as Error });
  }
}

/** Labels of features are stored for their set; labels of other nodes, and all labels without a server, in the annotations of the graph. */
export async function writeLabel(id: string, text: string, toSet: boolean): Promise<void> {
  const node = picture.value?.nodes[picture.value.indexById.get(id) ?? -1];
  const of = slug;
  if (node === undefined || of === undefined) return;
  const { [id]: own, ...others } = annotations.value.clerps;
  if (!toSet || node.layer === null || node.feature === null) {
    edit({ clerps: text.trim() === '' ? others : { ...others, [id]: text.trim() } });
    return;
  }
  const detail = await saveLabel(of, node.layer, node.feature, text);
  put(node.layer, node.feature, { state: 'here', detail });
  applyLabel(detail);
  // The graph's own label would hide the new one.
  if (own !== undefined) edit({ clerps: others });
}

function put(layer: number, feature: number, detail: Detail): void {
  details.value = new Map(details.value).set(`${layer}_${feature}`, detail);
}
