/** Engine, verb `attention`: which heads carry edges. */
import { PATH_KINDS, type PathKind } from '../../attention/head-products.ts';
import type { LoadingsRequest } from '../../attention/link-batches.ts';
import { headLoadings, weightOf, type Loadings } from '../../attention/loadings.ts';
import { featureBatches, targetBatches } from '../../attention/target-walk.ts';
import { UsageError } from '../../errors.ts';
import type { Graph } from '../../graph/graph.ts';
import { nodeResult } from '../../graph/nodes.ts';
import { ATTRIBUTE_DEFAULTS } from '../attribute/types.ts';
import type { Session } from '../session.ts';
import { endResults, singleNode } from './ends.ts';
import { checkOutput, floats, writeAttention } from './files.ts';
import { openAttention, traceSubject, type TracedSubject } from './traced-subject.ts';
import { ATTENTION_DEFAULTS, type EdgeResult, type EdgesRequest, type EdgesResult } from './types.ts';

/** Loads what the request names and finds the heads of edges. Throws `UsageError` for nodes and edges that there are not. */
export async function attentionEdges(request: EdgesRequest): Promise<EdgesResult> {
  await checkOutput(request);
  const { session, graph } = await openAttention(request);
  using opened = session;
  return await attentionEdgesIn(opened, request, graph);
}

/** As `attentionEdges`, in a session that is loaded already. @param graph what `request.graph` names, where it was read */
export async function attentionEdgesIn(
  session: Session,
  request: EdgesRequest,
  graph?: Graph,
): Promise<EdgesResult> {
  await checkOutput(request);
  using subject = await traceSubject(session, request, [], graph);
  const { stopwatch, nodes, prompt } = subject;
  const pairs = request.edges.map(([source, target]) => edgeOf(nodes, source, target));
  request.onProgress?.({ kind: 'progress', phase: 'attention', message: 'Following edges through heads' });
  const loadings = await stopwatch.time('edges', () =>
    headLoadings(prompt, loadingsRequest(subject, pairs, { kinds: PATH_KINDS, withPositions: true })),
  );
  const { n_layers, n_heads } = loadings;
  const of = (name: PathKind, i: number): Float32Array =>
    loadings[name].subarray(i * n_layers * n_heads, (i + 1) * n_layers * n_heads);
  const wide = n_layers * n_heads * prompt.n_pos;
  const tensors = pairs.flatMap((_, i) => [
    ...PATH_KINDS.map((name) => floats(`edges/${i}/${name}`, [n_layers, n_heads], of(name, i))),
    ...(['lastKeys', 'firstQueries'] as const).map((name) =>
      floats(
        `edges/${i}/${name === 'lastKeys' ? 'last_keys' : 'first_queries'}`,
        [n_layers, n_heads, prompt.n_pos],
        loadings[name].subarray(i * wide, (i + 1) * wide),
      ),
    ),
  ]);
  const files = await writeAttention(request, subject, tensors);
  const ends = await endResults(subject, pairs.flat());
  const top = request.top ?? ATTENTION_DEFAULTS.top;
  return {
    ...subject.described(files),
    edges: pairs.map(([source, target], i) => ({
      source: ends.get(source)!,
      target: ends.get(target)!,
      ...edgeNumbers(loadings, i, prompt.n_pos, top),
    })),
  };
}

/** An edge as (source, target) nodes. */
export type NodePair = readonly [source: number, target: number];

/** Edges as links from sources to targets, which are features and logits. */
export function loadingsRequest(
  { prompt, nodes, targets }: TracedSubject,
  pairs: readonly NodePair[],
  wanted: Pick<LoadingsRequest, 'kinds' | 'withPositions' | 'onProgress'>,
): LoadingsRequest {
  const { layout } = nodes;
  const features = Int32Array.from(
    new Set(pairs.flatMap(([, target]) => (target < layout.n_features ? [target] : []))),
  ).sort();
  const place = new Map(Array.from(features, (feature, i) => [feature, i]));
  const hasLogits = pairs.some(([, target]) => target >= layout.logits.start);
  const sources = Int32Array.from(new Set(pairs.map(([source]) => source))).sort();
  const sourceAt = new Map(Array.from(sources, (source, i) => [source, i]));
  return {
    sources,
    batches: hasLogits
      ? targetBatches(prompt, features, targets.vectors, ATTRIBUTE_DEFAULTS.batchSize)
      : featureBatches(prompt, features, ATTRIBUTE_DEFAULTS.batchSize),
    links: pairs.map(([source, target]) => ({
      source: sourceAt.get(source)!,
      target: place.get(target) ?? features.length + target - layout.logits.start,
    })),
    ...wanted,
  };
}

/** Lists of an edge, the largest first, and what they leave out. */
function edgeNumbers(
  loadings: Loadings,
  link: number,
  n_pos: number,
  top: number,
): Omit<EdgeResult, 'source' | 'target'> {
  const { n_layers, n_heads } = loadings;
  const size = n_layers * n_heads;
  const list = (values: Float32Array, each: number) =>
    Array.from(values.subarray(link * size * each, (link + 1) * size * each), (value, i) => ({
      layer: Math.floor(i / each / n_heads),
      head: Math.floor(i / each) % n_heads,
      at: i % each,
      value,
    }))
      .filter(({ value }) => value !== 0)
      .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const plain = (values: Float32Array) =>
    list(values, 1)
      .slice(0, top)
      .map(({ layer, head, value }) => ({ layer, head, value }));
  const [last, first] = [list(loadings.lastKeys, n_pos), list(loadings.firstQueries, n_pos)];
  const weight = weightOf(loadings, link);
  const direct = loadings.direct[link]!;
  const rest = (shown: readonly { value: number }[]): number =>
    shown.slice(0, top).reduce((sum, { value }) => sum - value, weight - direct);
  const through = loadings.through.subarray(link * size, (link + 1) * size);
  return {
    weight,
    direct,
    last: last.slice(0, top).map(({ layer, head, at, value }) => ({ layer, head, key: at, value })),
    first: first.slice(0, top).map(({ layer, head, at, value }) => ({ layer, head, query: at, value })),
    through: plain(loadings.through),
    only: plain(loadings.only),
    bypass: Array.from({ length: n_layers }, (_, layer) =>
      through.subarray(layer * n_heads, (layer + 1) * n_heads).reduce((left, value) => left - value, weight),
    ),
    rest_last: rest(last),
    rest_first: rest(first),
  };
}

/** @throws UsageError for names that are no single node, and for edges that cannot be */
function edgeOf(nodes: Graph, source: string, target: string): NodePair {
  const pair = [
    singleNode(nodes, source, 'source', '--edge'),
    singleNode(nodes, target, 'target', '--edge'),
  ] as const;
  const [from, to] = pair.map((node) => nodeResult(nodes, node)) as [
    ReturnType<typeof nodeResult>,
    ReturnType<typeof nodeResult>,
  ];
  const fault =
    from.kind === 'logit'
      ? `${from.id} is a logit, which is no source`
      : to.kind !== 'feature' && to.kind !== 'logit'
        ? `${to.id} is ${to.kind === 'error' ? 'an error' : 'a token'}, which is no target`
        : to.kind === 'feature' && from.layer !== null && from.layer >= to.layer!
          ? `${from.id} is not below ${to.id}`
          : from.position > to.position
            ? `${from.id} is at a later position than ${to.id}`
            : null;
  if (fault === null) return pair;
  throw new UsageError({
    code: 'impossible_edge',
    message: `there is no edge from ${JSON.stringify(source)} to ${JSON.stringify(target)}: ${fault}`,
    hint: 'An edge goes from a feature, error or token to a feature or logit above it, at its position or a later one.',
  });
}
