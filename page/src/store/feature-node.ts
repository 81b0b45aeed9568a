/** Page, state: nodes of features, which have a layer and a feature number. */
import type { PictureNode } from '../../../src/picture/picture-graph.ts';

export type FeatureNode = PictureNode & { readonly layer: number; readonly feature: number };

export function isFeature(node: PictureNode | null | undefined): node is FeatureNode {
  return node?.kind === 'feature' && node.layer !== null && node.feature !== null;
}
