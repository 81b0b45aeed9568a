/** Engine, verb `attribute`: a prompt's attribution graph, its scores, and its files. */
import { checkTargets } from '../../attribution/targets.ts';
import { featureOf, type Graph } from '../../graph/graph.ts';
import { EDGE_FIELDS, pruneGraph, type PrunedGraph } from '../../graph/prune.ts';
import { graphScores } from '../../graph/scores.ts';
import { topFeatures, type TopFeature } from '../../graph/top.ts';
import type { ViewerMetadata } from '../../graph/neuronpedia.ts';
import { checkTokens } from '../../model/check-tokens.ts';
import { chatResult, inTemplate } from '../chat.ts';
import { openFeatureSource, type FeatureSource } from '../features/source.ts';
import type { PromptInput } from '../request.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes, Stopwatch } from '../stopwatch.ts';
import { checkOutputs, writeGraphFiles } from './graph-files.ts';
import { targetsOf, tokensOf, trace } from './trace.ts';
import {
  ATTRIBUTE_DEFAULTS,
  pruningOf,
  type AttributeRequest,
  type AttributeResult,
  type GraphOptions,
} from './types.ts';

/** Loads what the request names and traces the prompt. Throws `UsageError` for prompts that cannot be traced. */
export async function attribute(request: AttributeRequest): Promise<AttributeResult> {
  await checkOutputs(request);
  // Every encoder is needed, so they are read with the model.
  using session = await openSession(request, {
    preloadEncoders: true,
    check: async ({ prompts, config, files }) => {
      const input = await inTemplate(request.input, files, prompts.tokenizer);
      checkTokens(tokensOf(input, prompts, request.targetPosition), config);
      checkTargets(targetsOf(request), config, prompts.tokenizer);
    },
  });
  return await attributeIn(session, request);
}

/** As `attribute`, in a session that is loaded already. */
export async function attributeIn(session: Session, request: AttributeRequest): Promise<AttributeResult> {
  await checkOutputs(request);
  const labels = await openLabels(session, request);
  const computed = await computeGraph(session, request, labels);
  return await computed.save();
}

/** A graph in memory, to be saved. */
export interface ComputedGraph {
  readonly graph: Graph;
  /** Writes the files that were asked for, once; the session may compute the next graph meanwhile. `listed`: as of `writeGraphFiles`. */
  save(listed?: ViewerMetadata[]): Promise<AttributeResult>;
}

/** Labels of features by `LAYER_FEATURE`, of those that have one. */
export interface KnownLabels {
  labels(features: readonly (readonly [layer: number, feature: number])[]): Promise<Record<string, string>>;
}

/** Computes a graph, what pruning leaves, and the scores. `labels`: of `openLabels`. */
export async function computeGraph(
  session: Session,
  request: AttributeRequest,
  labels: KnownLabels,
): Promise<ComputedGraph> {
  const stopwatch = new Stopwatch();
  const input = await inTemplate(request.input, session.subject.model.files, session.tokenizer);
  const { graph, verification, rows } = await trace(session, input, request, stopwatch);
  try {
    const phases = stopwatch.phases('prune');
    const pruned = pruneGraph(graph, pruningOf(request));
    const scores = graphScores(graph);
    phases.end();
    const top = topFeatures(graph, ATTRIBUTE_DEFAULTS.top);
    return {
      graph,
      async save(listed) {
        await using _closed = rows; // rows stay there when the graph cannot be written
        const writing = stopwatch.phases('write');
        const known = await labels.labels(shownFeatures(pruned, top));
        const files = await writeGraphFiles(graph, pruned, request, known, listed);
        await rows?.remove();
        writing.end();
        const { layout, provenance, logit_token_ids, logit_probabilities } = graph;
        return {
          ...session.description,
          prompt: provenance.prompt,
          ...chatResult(input),
          n_tokens: layout.n_pos,
          n_nodes: layout.n_nodes,
          n_active_features: graph.activation_values.length,
          n_selected_features: layout.n_features,
          logit_targets: Array.from(logit_token_ids, (token_id, i) => ({
            token_id,
            text: provenance.logit_labels[i]!,
            probability: logit_probabilities[i]!,
          })),
          scores,
          pruned: {
            n_nodes: pruned.nodeMask.reduce((sum, kept) => sum + kept, 0),
            n_edges: pruned.edges.length / EDGE_FIELDS,
          },
          top_features: top.map((one) => {
            const label = known[`${one.layer}_${one.feature}`];
            return { ...one, ...(label !== undefined && { label }) };
          }),
          ...(rows && { n_resumed_rows: rows.n_taken }),
          ...(verification && { verification }),
          files,
          timings_ms: { ...session.stopwatch.timings_ms, ...stopwatch.timings_ms },
          peak_rss_bytes: peakRssBytes(),
        };
      },
    };
  } catch (error) {
    await rows?.close();
    throw error;
  }
}

/** Labels of the set. The file of edited labels is read now, so that a damaged one is reported before anything is computed. */
export async function openLabels(
  session: Session,
  request: Pick<AttributeRequest, 'features' | 'scan' | 'onProgress'>,
): Promise<FeatureSource> {
  const source = await openFeatureSource({
    ...request,
    folder: request.features,
    scan: request.scan ?? session.scan,
    set: session.subject.transcoders.source,
  });
  await source.labels();
  return source;
}

/** Layer and feature of what a viewer's file and the table of the strongest show. */
function shownFeatures(
  { graph, nodeMask }: PrunedGraph,
  top: readonly TopFeature[],
): (readonly [layer: number, feature: number])[] {
  const kept = Array.from({ length: graph.layout.n_features }, (_, node) => node)
    .filter((node) => nodeMask[node] === 1)
    .map((node) => featureOf(graph, node));
  return [...kept, ...top].map(({ layer, feature }) => [layer!, feature!]);
}

/** The graph of a prompt. */
export async function traceGraph(
  session: Session,
  input: PromptInput,
  options: GraphOptions & Pick<AttributeRequest, 'signal' | 'onProgress'>,
): Promise<Graph> {
  const read = await inTemplate(input, session.subject.model.files, session.tokenizer);
  return (await trace(session, read, options, session.stopwatch)).graph;
}
