/** Engine, verb `attention`: the heads that bring most to a node. */
import { headsOfFeature, headsOfLogit, type NodeHeads } from '../../attention/node-heads.ts';
import { UsageError } from '../../errors.ts';
import type { Graph } from '../../graph/graph.ts';
import { nodeResult } from '../../graph/nodes.ts';
import type { Session } from '../session.ts';
import { endResults, singleNode } from './ends.ts';
import { traceSubject, type TracedSubject } from './traced-subject.ts';
import { ATTENTION_DEFAULTS, type NodeHeadsRequest, type NodeHeadsResult } from './types.ts';

/** In a session that is loaded already. @param graph what `request.graph` names, where it was read */
export async function attentionNodeIn(
  session: Session,
  request: NodeHeadsRequest,
  graph?: Graph,
): Promise<NodeHeadsResult> {
  using subject = await traceSubject(session, request, [], graph);
  const { nodes, stopwatch } = subject;
  const node = targetNode(nodes, request.node);
  request.onProgress?.({ kind: 'progress', phase: 'attention', message: 'Following a node through heads' });
  const found = await stopwatch.time('node', () => headsOf(subject, node));
  const ends = await endResults(subject, [node]);
  return {
    ...subject.described([]),
    node: ends.get(node)!,
    ...nodeNumbers(found, request.top ?? ATTENTION_DEFAULTS.top),
  };
}

function headsOf({ prompt, nodes, targets }: TracedSubject, node: number): Promise<NodeHeads> {
  const { n_features, logits } = nodes.layout;
  if (node < n_features) return headsOfFeature(prompt, node);
  return headsOfLogit(prompt, targets.vectors, node - logits.start);
}

/** The heads of the only row, the largest first, and what the list leaves out. */
function nodeNumbers(
  { n_layers, n_heads, n_pos, direct, lastKeys }: NodeHeads,
  top: number,
): Pick<NodeHeadsResult, 'total' | 'direct' | 'heads' | 'rest'> {
  const heads = Array.from({ length: n_layers * n_heads }, (_, i) => {
    const byKey = lastKeys.subarray(i * n_pos, (i + 1) * n_pos);
    return {
      layer: Math.floor(i / n_heads),
      head: i % n_heads,
      key: byKey.reduce((best, value, key) => (Math.abs(value) > Math.abs(byKey[best]!) ? key : best), 0),
      value: byKey.reduce((sum, value) => sum + value, 0),
    };
  });
  const brought = heads.reduce((sum, { value }) => sum + value, 0);
  const shown = heads
    .filter(({ value }) => value !== 0)
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
    .slice(0, top);
  return {
    total: direct[0]! + brought,
    direct: direct[0]!,
    heads: shown,
    rest: shown.reduce((left, { value }) => left - value, brought),
  };
}

/** @throws UsageError for names that are no single node, and for nodes that take nothing in */
function targetNode(nodes: Graph, name: string): number {
  const node = singleNode(nodes, name, 'target', 'the node');
  const { id, kind } = nodeResult(nodes, node);
  if (kind === 'feature' || kind === 'logit') return node;
  throw new UsageError({
    code: 'not_a_target',
    message: `${id} is ${kind === 'error' ? 'an error' : 'a token'}, to which no head brings anything`,
    hint: 'Name a feature or a logit.',
  });
}
