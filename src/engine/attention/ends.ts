/** Engine, verb `attention`: nodes that a question names, the ends of an edge or the node whose heads are wanted. */
import { UsageError } from '../../errors.ts';
import type { Graph } from '../../graph/graph.ts';
import { nodeResult } from '../../graph/nodes.ts';
import { selectNodes, type NodeRole } from '../../graph/select.ts';
import type { TracedSubject } from './traced-subject.ts';
import type { EndResult } from './types.ts';

/** @param where what named it, for errors. Throws `UsageError` for a name of no node, or of several */
export function singleNode(nodes: Graph, name: string, role: NodeRole, where: string): number {
  const found = selectNodes(nodes, name, role);
  if (found.length === 1) return found[0]!;
  const ids = found.slice(0, 5).map((node) => nodeResult(nodes, node).id);
  throw new UsageError({
    code: 'several_nodes',
    message: `${where}: ${JSON.stringify(name)} names ${found.length} nodes: ${ids.join(', ')}${found.length > ids.length ? ', …' : ''}`,
    hint: 'Name one of them by its id.',
  });
}

export async function endResults(
  { nodes, labels }: TracedSubject,
  ends: Iterable<number>,
): Promise<Map<number, EndResult>> {
  const found = [...new Set(ends)].map((node) => [node, nodeResult(nodes, node)] as const);
  const known = await labels(
    found.flatMap(([, { layer, feature }]): [number, number][] =>
      layer !== null && feature !== null ? [[layer, feature]] : [],
    ),
  );
  return new Map(
    found.map(([node, { id, kind, layer, position, feature, token }]) => [
      node,
      {
        id,
        kind,
        layer,
        position,
        feature,
        token,
        label: feature === null ? null : (known[`${layer}_${feature}`] ?? null),
      },
    ]),
  );
}
