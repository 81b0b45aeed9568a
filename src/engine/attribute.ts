/** Engine, verb `attribute`: a prompt's attribution graph, its scores, and its files. */
import { attribute as attributeTokens, type Attribution } from '../attribution/attribute.ts';
import type { TargetChoice } from '../attribution/targets.ts';
import { UsageError } from '../errors.ts';
import { writeGraph } from '../graph/files.ts';
import type { Graph } from '../graph/graph.ts';
import { nodeInfluence } from '../graph/influence.ts';
import { viewerGraph } from '../graph/neuronpedia.ts';
import { NodeLayout } from '../graph/node-layout.ts';
import { EDGE_FIELDS, pruneGraph, type PrunedGraph } from '../graph/prune.ts';
import { graphScores } from '../graph/scores.ts';
import { topFeatures } from '../graph/top.ts';
import { writeViewerGraph } from '../graph/viewer-files.ts';
import {
  ATTRIBUTE_DEFAULTS,
  type AttributeRequest,
  type AttributeResult,
  type GraphOptions,
} from './attribute-types.ts';
import { graphProvenance } from './provenance.ts';
import type { PromptInput } from './requests.ts';
import type { SavedFileResult } from './results.ts';
import { openSession, type Session } from './session.ts';
import { peakRssBytes } from './stopwatch.ts';
import { writtenFile } from './written-file.ts';

/** Loads what the request names and traces the prompt. Throws `UsageError` for what cannot be traced. */
export async function attribute(request: AttributeRequest): Promise<AttributeResult> {
  checkRequest(request);
  // Every encoder is needed, so they are read with the model.
  using session = await openSession(request, { preloadEncoders: true });
  return await attributeIn(session, request);
}

/** As `attribute`, in a session that is loaded already. */
export async function attributeIn(session: Session, request: AttributeRequest): Promise<AttributeResult> {
  checkRequest(request);
  const { stopwatch } = session;
  const graph = await traceGraph(session, request.input, request);
  const pruned = await stopwatch.time('prune', () =>
    Promise.resolve(
      pruneGraph(graph, {
        nodeThreshold: request.nodeThreshold ?? ATTRIBUTE_DEFAULTS.nodeThreshold,
        edgeThreshold: request.edgeThreshold ?? ATTRIBUTE_DEFAULTS.edgeThreshold,
      }),
    ),
  );
  const files = await stopwatch.time('write', () => writeFiles(graph, pruned, request));
  const { layout, provenance, logit_token_ids, logit_probabilities } = graph;
  return {
    ...session.description,
    prompt: provenance.prompt,
    n_tokens: layout.n_pos,
    n_nodes: layout.n_nodes,
    n_active_features: graph.activation_values.length,
    n_selected_features: layout.n_features,
    logit_targets: Array.from(logit_token_ids, (token_id, i) => ({
      token_id,
      text: provenance.logit_labels[i]!,
      probability: logit_probabilities[i]!,
    })),
    scores: graphScores(graph),
    pruned: {
      n_nodes: pruned.nodeMask.reduce((sum, kept) => sum + kept, 0),
      n_edges: pruned.edges.length / EDGE_FIELDS,
    },
    top_features: topFeatures(graph, ATTRIBUTE_DEFAULTS.top),
    files,
    timings_ms: stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

/** The graph of a prompt. */
export async function traceGraph(
  session: Session,
  input: PromptInput,
  options: GraphOptions & Pick<AttributeRequest, 'signal' | 'onProgress'>,
): Promise<Graph> {
  const { replacement, tokenizer, stopwatch } = session;
  const all = 'tokens' in input ? input.tokens : tokenizer.attributionInput(input.prompt);
  const tokens = cutAt(all, options.targetPosition);
  const { maxLogits, desiredProbability } = ATTRIBUTE_DEFAULTS;
  const targets: TargetChoice = options.targets ?? { kind: 'most_likely', maxLogits, desiredProbability };
  using attribution = await stopwatch.time('attribute', () =>
    attributeTokens(replacement, tokenizer, tokens, {
      targets,
      maxFeatureNodes: options.maxFeatureNodes ?? ATTRIBUTE_DEFAULTS.maxFeatureNodes,
      batchSize: options.batchSize ?? ATTRIBUTE_DEFAULTS.batchSize,
      updateInterval: options.updateInterval ?? ATTRIBUTE_DEFAULTS.updateInterval,
      selection: options.selection ?? ATTRIBUTE_DEFAULTS.selection,
      ...(options.signal && { signal: options.signal }),
      onProgress: (done, total) =>
        options.onProgress?.({
          kind: 'progress',
          phase: 'rows',
          message: 'Tracing',
          done,
          total,
          unit: 'rows',
        }),
    }),
  );
  await session.checkFinite(attribution.edges, 'the edges');
  return await assemble(session, attribution, targets, options);
}

async function assemble(
  session: Session,
  { components, targets, selected, edges }: Attribution,
  choice: TargetChoice,
  options: GraphOptions,
): Promise<Graph> {
  const { tokens, features, layout } = components;
  const graph = {
    layout: new NodeLayout({
      n_features: selected.length,
      n_layers: layout.n_layers,
      n_pos: layout.n_pos,
      n_logits: targets.ids.length,
    }),
    edges,
    active_features: features.indices,
    activation_values: features.values,
    selected_features: selected,
    input_tokens: Int32Array.from(tokens),
    logit_token_ids: Int32Array.from(targets.ids),
    logit_probabilities: targets.probabilities,
    node_influence: new Float32Array(0),
    provenance: await graphProvenance(session, tokens, targets.labels, choice, options),
  };
  return { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) };
}

async function writeFiles(
  graph: Graph,
  pruned: PrunedGraph,
  request: AttributeRequest,
): Promise<SavedFileResult[]> {
  const { output, graphDir, slug, scan, signal } = request;
  const atomic = signal ? { signal } : {};
  const written: string[] = [];
  if (output !== undefined) {
    await writeGraph(output, graph, atomic);
    written.push(output);
  }
  if (graphDir !== undefined && slug !== undefined) {
    const { graph: file, metadata } = await writeViewerGraph(
      graphDir,
      viewerGraph(pruned, { slug, scan }),
      atomic,
    );
    written.push(file, metadata);
  }
  return await Promise.all(written.map(writtenFile));
}

function checkRequest({ graphDir, slug }: AttributeRequest): void {
  if ((graphDir === undefined) === (slug === undefined)) return;
  throw new UsageError({
    code: 'slug_and_folder',
    message:
      graphDir === undefined
        ? '--slug names a graph in --graph-dir, which is missing'
        : '--graph-dir needs --slug',
    hint: 'Give both: --graph-dir graphs --slug dallas.',
  });
}

/** The tokens up to and including the position that is explained. */
function cutAt(tokens: readonly number[], position: number | undefined): readonly number[] {
  if (position === undefined) return tokens;
  const index = position < 0 ? tokens.length + position : position;
  if (Number.isInteger(index) && index >= 0 && index < tokens.length) return tokens.slice(0, index + 1);
  throw new UsageError({
    code: 'position_out_of_range',
    message: `--target-position ${position}: the prompt has ${tokens.length} tokens`,
    hint: `Give a position from 0 to ${tokens.length - 1}, or from -${tokens.length} to -1 counted from the end.`,
  });
}
