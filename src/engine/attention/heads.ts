/** Engine, verb `attention`: heads by their effect on the first logit, and by the influence of a graph that goes through them. */
import { headEffects } from '../../attention/effects.ts';
import { PATH_KINDS } from '../../attention/head-products.ts';
import { linkBatches } from '../../attention/link-batches.ts';
import { collect, emptyLoadings, type Loadings } from '../../attention/loadings.ts';
import { UsageError } from '../../errors.ts';
import { writeGraph } from '../../graph/files.ts';
import type { Graph } from '../../graph/graph.ts';
import { nodeId } from '../../graph/nodes.ts';
import { EDGE_FIELDS, pruneGraph, type PrunedGraph } from '../../graph/prune.ts';
import type { SavedFileResult } from '../result.ts';
import type { Session } from '../session.ts';
import { writtenFile } from '../written-file.ts';
import { loadingsRequest, type NodePair } from './edges.ts';
import { checkOutput, floats, ints, writeAttention } from './files.ts';
import { HeadShares } from './head-shares.ts';
import { openAttention, traceSubject } from './traced-subject.ts';
import {
  ATTENTION_DEFAULTS,
  type AttentionInput,
  type HeadsResult,
  type SummaryRequest,
  type SummaryResult,
} from './types.ts';

/** Loads what the request names and measures heads by the first logit. */
export async function attentionHeads(request: AttentionInput): Promise<HeadsResult> {
  await checkOutput(request);
  const { session, graph } = await openAttention(request);
  using opened = session;
  return await attentionHeadsIn(opened, request, graph);
}

/** As `attentionHeads`, in a session that is loaded already. @param graph what `request.graph` names, where it was read */
export async function attentionHeadsIn(
  session: Session,
  request: AttentionInput,
  graph?: Graph,
): Promise<HeadsResult> {
  await checkOutput(request);
  using subject = await traceSubject(session, request, [], graph);
  const { prompt, targets, stopwatch } = subject;
  const { n_layers, n_heads } = session.replacement.model.config;
  const effects = await stopwatch.time('effects', () => headEffects(prompt, targets.vectors));
  const shape = [effects.n_targets, n_layers, n_heads];
  const files = await writeAttention(request, subject, [
    floats('heads/direct', shape, effects.direct),
    floats('heads/total', shape, effects.total),
  ]);
  return {
    ...subject.described(files),
    target: { token_id: targets.ids[0]!, text: targets.labels[0]! },
    heads: effects.strongest
      .map((entry, i) => ({
        layer: Math.floor(i / n_heads),
        head: i % n_heads,
        direct: effects.direct[i]!,
        total: effects.total[i]!,
        ...entry,
      }))
      .sort((a, b) => Math.abs(b.total) - Math.abs(a.total))
      .slice(0, request.top ?? ATTENTION_DEFAULTS.top),
  };
}

/** Loads what a graph names and measures how much of its influence each head carries. */
export async function attentionSummary(request: SummaryRequest): Promise<SummaryResult> {
  await checkOutput(request);
  const { session, graph } = await openAttention(request);
  using opened = session;
  return await attentionSummaryIn(opened, request, graph);
}

/** As `attentionSummary`, in a session that is loaded already. @param given what `request.graph` names, where it was read */
export async function attentionSummaryIn(
  session: Session,
  request: SummaryRequest,
  given?: Graph,
): Promise<SummaryResult> {
  await checkOutput(request);
  if (request.graph === undefined) {
    throw new UsageError({
      code: 'missing_graph',
      message: '--heads measures the links of a graph, which is missing',
      hint: 'Give --graph FILE, made with `tracer attribute PROMPT --output FILE`.',
    });
  }
  using subject = await traceSubject(session, request, [], given);
  const graph = subject.graph!;
  const { stopwatch, nodes } = subject;
  const pruned = pruneGraph(graph, request);
  const here = (node: number): number => inNodes(graph, nodes, subject.selected!, node);
  const links = linksOf(pruned).filter((link) => link.every((node) => here(node) >= 0));
  const pairs = links.map(([source, target]): NodePair => [here(source), here(target)]);
  const report = (done: number, total: number): void =>
    request.onProgress?.({
      kind: 'progress',
      phase: 'attention',
      message: 'Following links through heads',
      done,
      total,
    });
  const { n_layers, n_heads } = session.replacement.model.config;
  const { prompt } = subject;
  const added = new HeadShares(pruned, links, n_layers * n_heads);
  // Loadings of all links in memory together are for the file alone.
  const wanted = loadingsRequest(subject, pairs, {
    kinds: request.output === undefined ? ['last', 'first'] : PATH_KINDS,
    onProgress: report,
  });
  const saved = request.output === undefined ? null : emptyLoadings(prompt, wanted);
  await stopwatch.time('links', async () => {
    for await (const batch of linkBatches(prompt, wanted)) {
      added.add(batch);
      if (saved) collect(saved, batch);
    }
  });
  const shares = added.result();
  const files = saved ? await writeSummary(request, request.output!, graph, links, saved) : [];
  return {
    ...subject.described(files),
    n_links: links.length,
    node_threshold: pruned.nodeThreshold,
    edge_threshold: pruned.edgeThreshold,
    shares: { direct: shares.direct, heads: 1 - shares.direct },
    heads: shares.heads
      .map((share, i) => ({ layer: Math.floor(i / n_heads), head: i % n_heads, ...share }))
      .sort((a, b) => b.last - a.last || a.layer - b.layer || a.head - b.head)
      .slice(0, request.top ?? ATTENTION_DEFAULTS.top)
      .map(({ strongest, ...head }) => ({
        ...head,
        strongest: {
          source: nodeId(graph, links[strongest.link]![0]),
          target: nodeId(graph, links[strongest.link]![1]),
          value: strongest.value,
        },
      })),
  };
}

/** Links of a pruned graph as (source, target). */
function linksOf({ edges }: PrunedGraph): NodePair[] {
  return Array.from({ length: edges.length / EDGE_FIELDS }, (_, i): NodePair => [
    edges[i * EDGE_FIELDS + 1]!,
    edges[i * EDGE_FIELDS]!,
  ]);
}

/** A node of a graph among all active features, errors, tokens and targets; -1 for a feature that is not active. */
function inNodes(graph: Graph, nodes: Graph, selected: Int32Array, node: number): number {
  const { n_features } = graph.layout;
  return node < n_features ? selected[node]! : node - n_features + nodes.layout.n_features;
}

/** The graph again, with loadings of the kept links beside its own tensors. */
async function writeSummary(
  { signal }: SummaryRequest,
  output: string,
  graph: Graph,
  links: readonly NodePair[],
  loadings: Loadings,
): Promise<SavedFileResult[]> {
  const { n_layers, n_heads } = loadings;
  const shape = [links.length, n_layers, n_heads];
  await writeGraph(output, graph, { signal }, [
    ints(
      'attention/links',
      [links.length, EDGE_FIELDS],
      links.flatMap(([source, target]) => [target, source]),
    ),
    floats('attention/direct', [links.length], loadings.direct),
    ...PATH_KINDS.map((name) => floats(`attention/${name}`, shape, loadings[name])),
  ]);
  return [await writtenFile(output)];
}
