/** Engine, verb `attribute`: a prompt's attribution graph, its scores, and its files. */
import { attribute as attributeTokens, type Attribution } from '../../attribution/attribute.ts';
import type { RowFile } from '../../attribution/row-file.ts';
import { checkTargets, type TargetChoice } from '../../attribution/targets.ts';
import { verifyAttribution, type Verification } from '../../attribution/verify.ts';
import { UsageError } from '../../errors.ts';
import { featureOf, type Graph } from '../../graph/graph.ts';
import { nodeInfluence } from '../../graph/influence.ts';
import { NodeLayout } from '../../graph/node-layout.ts';
import { nodeId } from '../../graph/nodes.ts';
import { EDGE_FIELDS, pruneGraph, type PrunedGraph } from '../../graph/prune.ts';
import { graphScores } from '../../graph/scores.ts';
import { topFeatures, type TopFeature } from '../../graph/top.ts';
import { checkTokens } from '../../model/check-tokens.ts';
import type { ActiveFeatures } from '../../replacement/replacement-model.ts';
import type { PromptReader } from '../prompt-reader.ts';
import {
  ATTRIBUTE_DEFAULTS,
  type AttributeRequest,
  type AttributeResult,
  type GraphOptions,
  type VerificationResult,
} from './types.ts';
import { openFeatureSource, type FeatureSource } from '../features/source.ts';
import { checkOutputs, rowsPath, writeGraphFiles } from './graph-files.ts';
import { chatResult, inTemplate, noteChat, type ReadInput } from '../chat.ts';
import { graphProvenance } from '../provenance.ts';
import type { PromptInput } from '../request.ts';
import { openRows } from './resume.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes, Stopwatch } from '../stopwatch.ts';

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
  const stopwatch = new Stopwatch();
  const labels = await openLabels(session, request);
  const input = await inTemplate(request.input, session.subject.model.files, session.tokenizer);
  const { graph, verification, rows } = await trace(session, input, request, stopwatch);
  await using _closed = rows; // rows stay there when the graph cannot be written
  const phases = stopwatch.phases('prune');
  const pruned = pruneGraph(graph, {
    nodeThreshold: request.nodeThreshold ?? ATTRIBUTE_DEFAULTS.nodeThreshold,
    edgeThreshold: request.edgeThreshold ?? ATTRIBUTE_DEFAULTS.edgeThreshold,
  });
  const scores = graphScores(graph);
  phases.next('write');
  const top = topFeatures(graph, ATTRIBUTE_DEFAULTS.top);
  const known = await labels.labels(shownFeatures(pruned, top));
  const files = await writeGraphFiles(graph, pruned, request, known);
  await rows?.remove();
  phases.end();
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
}

/** Labels of the set. The file of edited labels is read now, so that a damaged one is reported before anything is computed. */
async function openLabels(session: Session, request: AttributeRequest): Promise<FeatureSource> {
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

interface Trace {
  readonly graph: Graph;
  readonly verification?: VerificationResult;
  /** To be removed when the graph is written. */
  readonly rows?: RowFile;
}

async function trace(
  session: Session,
  input: ReadInput,
  options: Omit<AttributeRequest, 'input'>,
  stopwatch: Stopwatch,
): Promise<Trace> {
  const { replacement, tokenizer, backend } = session;
  const { signal } = options;
  const tokens = tokensOf(input, session.prompts, options.targetPosition);
  noteChat(input, tokens, tokenizer, options.onProgress);
  const targets = targetsOf(options);
  const rowsFile = rowsPath(options);
  const report = (phase: string, message: string, done: number, total: number): void =>
    options.onProgress?.({ kind: 'progress', phase, message, done, total, unit: 'rows' });
  const phases = stopwatch.phases('prepare');
  let rows: RowFile | undefined;
  try {
    using attribution = await attributeTokens(replacement, tokenizer, tokens, {
      targets,
      maxFeatureNodes: options.maxFeatureNodes ?? ATTRIBUTE_DEFAULTS.maxFeatureNodes,
      batchSize: options.batchSize ?? ATTRIBUTE_DEFAULTS.batchSize,
      updateInterval: options.updateInterval ?? ATTRIBUTE_DEFAULTS.updateInterval,
      selection: options.selection ?? ATTRIBUTE_DEFAULTS.selection,
      ...(signal && { signal }),
      onPrepared: () => phases.next('rows'),
      onProgress: (done, total) => report('rows', 'Tracing', done, total),
      checkFinite: (values, what) => session.checkFinite(values, what),
      ...(rowsFile !== undefined && {
        openStore: async (features: ActiveFeatures) => {
          rows = await openRows(rowsFile, session, tokens, targets, features);
          return rows;
        },
      }),
    });
    const graph = await assemble(session, input, attribution, targets, options);
    if (options.verify) phases.next('verify');
    const verification = options.verify
      ? await verifyAttribution(replacement, attribution, {
          n_edges: options.verify,
          arithmetic: backend.arithmetic,
          signal,
          onProgress: (done, total) => report('verify', 'Verifying', done, total),
        })
      : undefined;
    phases.end();
    return {
      graph,
      ...(verification && { verification: named(verification, graph) }),
      ...(rows && { rows }),
    };
  } catch (error) {
    await rows?.close();
    throw error;
  }
}

/** The edge of the largest error by the ids that other commands take. */
function named(verification: Verification, graph: Graph): VerificationResult {
  const { worst_edge } = verification;
  return {
    ...verification,
    worst_edge: worst_edge && {
      ...worst_edge,
      target: nodeId(graph, worst_edge.target),
      source: nodeId(graph, worst_edge.source),
    },
  };
}

/** Tokens of a prompt as attribution reads them, up to the position that is explained. */
export function tokensOf(
  input: ReadInput,
  prompts: PromptReader,
  targetPosition: number | undefined,
): readonly number[] {
  return cutAt(prompts.attributionTokens(input), targetPosition);
}

export function targetsOf(options: GraphOptions): TargetChoice {
  const { maxLogits, desiredProbability } = ATTRIBUTE_DEFAULTS;
  return options.targets ?? { kind: 'most_likely', maxLogits, desiredProbability };
}

async function assemble(
  session: Session,
  input: ReadInput,
  { tokens, features, columns, targets, selected, edges }: Attribution,
  choice: TargetChoice,
  options: GraphOptions,
): Promise<Graph> {
  const graph = {
    layout: new NodeLayout({
      n_features: selected.length,
      n_layers: columns.n_layers,
      n_pos: columns.n_pos,
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
    provenance: await graphProvenance(session, { input, tokens }, targets.labels, choice, options),
  };
  return { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) };
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
