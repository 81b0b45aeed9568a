/** A viewer file of the reference. */
import { expect } from '@jest/globals';
import type { ViewerNode } from '../../src/graph/neuronpedia.ts';

export interface ReferenceFile {
  metadata: Record<string, unknown>;
  qParams: unknown;
  nodes: (Omit<ViewerNode, 'influence'> & { influence: number | null })[];
  links: { source: string; target: string; weight: number }[];
}

const isError = (node: { feature_type: string }): boolean => node.feature_type === 'mlp reconstruction error';

/** Whether an error has the id of a feature, as may happen in layer 0: links to them cannot be told apart. */
export function hasCollision({ nodes }: ReferenceFile): boolean {
  return new Set(nodes.map(({ node_id }) => node_id)).size < nodes.length;
}

/** The one difference that is wanted: `0_<layer>_<pos>` of an error becomes `<layer>_error_<pos>`. */
export function uniqueIds(file: ReferenceFile): ReferenceFile {
  const ids = new Map(
    file.nodes.filter(isError).map((node) => [node.node_id, `${node.layer}_error_${node.ctx_idx}`]),
  );
  const features = new Set(file.nodes.filter((node) => !isError(node)).map(({ node_id }) => node_id));
  expect([...ids.keys()].filter((id) => features.has(id))).toEqual([]); // else links could not be told apart here
  const renamed = (id: string): string => ids.get(id) ?? id;
  return {
    ...file,
    nodes: file.nodes.map((node) => ({ ...node, node_id: renamed(node.node_id) })),
    links: file.links.map((link) => ({
      ...link,
      source: renamed(link.source),
      target: renamed(link.target),
    })),
  };
}
