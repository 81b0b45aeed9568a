/** Engine, verb `attribute`: a prompt's graph, from its tokens to provenance. */
import { attribute as attributeTokens, type Attribution } from '../../attribution/attribute.ts';
import type { RowFile } from '../../attribution/row-file.ts';
import type { TargetChoice } from '../../attribution/targets.ts';
import { verifyAttribution, type Verification } from '../../attribution/verify.ts';
import { UsageError } from '../../errors.ts';
import type { Graph } from '../../graph/graph.ts';
import { nodeInfluence } from '../../graph/influence.ts';
import { NodeLayout } from '../../graph/node-layout.ts';
import { nodeId } from '../../graph/nodes.ts';
import type { ActiveFeatures } from '../../replacement/replacement-model.ts';
import { noteChat, type ReadInput } from '../chat.ts';
import type { PromptReader } from '../prompt-reader.ts';
import { graphProvenance } from '../provenance.ts';
import type { Session } from '../session.ts';
import type { Stopwatch } from '../stopwatch.ts';
import { rowsPath } from './graph-files.ts';
import { openRows } from './resume.ts';
import {
  ATTRIBUTE_DEFAULTS,
  type AttributeRequest,
  type GraphOptions,
  type VerificationResult,
} from './types.ts';

export interface Trace {
  readonly graph: Graph;
  readonly verification?: VerificationResult;
  /** To be removed when the graph is written. */
  readonly rows?: RowFile;
}

/** The graph of a prompt; nothing is written but rows that are kept. */
export async function trace(
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
