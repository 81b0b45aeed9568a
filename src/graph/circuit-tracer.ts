/** Graph, circuit-tracer: a graph that `Graph.to_pt` of circuit-tracer wrote, from its first release (May 2025) to the current one. */
import type { ByteSource } from '../formats/byte-source.ts';
import { described, PickleObject, type PickleValue } from '../formats/pickle-values.ts';
import { checkGraph } from './check.ts';
import {
  isInt32,
  LOGIT_TARGET,
  openSaved,
  UNKNOWN,
  type ModelConfig,
  type Saved,
} from './circuit-tracer-file.ts';
import { FEATURE_FIELDS, type Graph, type Provenance } from './graph.ts';
import { nodeInfluence } from './influence.ts';
import { NodeLayout } from './node-layout.ts';

/** Written as `backend` into the provenance. */
const ORIGIN = 'circuit-tracer';

export interface CircuitTracerOptions {
  readonly tracer_version: string;
  /** Strings of tokens; the file has none of the prompt. Left out, tokens are named by their ids. */
  readonly tokenStrings?: ((ids: Int32Array) => readonly string[]) | undefined;
}

/**
 * Reads a graph, running nothing of the file. Throws `NotFoundError` when it does not exist, and `BadFileError` when it is not
 * such a graph, is damaged or inconsistent, or names anything that does not belong in it.
 */
export async function readCircuitTracerGraph(
  sourceOrPath: ByteSource | string,
  options: CircuitTracerOptions,
): Promise<Graph> {
  using saved = await openSaved(sourceOrPath);
  const input_tokens = await saved.integers('input_tokens', [null]);
  const n_pos = input_tokens.length;
  const active_features = await saved.integers('active_features', [null, FEATURE_FIELDS]);
  const n_active = active_features.length / FEATURE_FIELDS;
  const selected_features = await saved.integers('selected_features', [null]);
  const targets = await logitTargets(saved);
  const config = saved.config();
  const layout = new NodeLayout({
    n_features: selected_features.length,
    n_layers: config.n_layers,
    n_pos,
    n_logits: targets.ids.length,
  });
  if (n_pos === 0 || layout.n_logits === 0)
    throw saved.bad('input_tokens', 'is a graph without tokens or logits');
  const graph: Graph = {
    layout,
    edges: await edges(saved, layout),
    active_features,
    activation_values: await saved.floats('activation_values', [n_active]),
    selected_features,
    input_tokens,
    logit_token_ids: targets.ids,
    logit_probabilities: await saved.floats('logit_probabilities', [layout.n_logits]),
    node_influence: new Float32Array(layout.n_nodes),
    provenance: provenanceOf(saved, config, input_tokens, targets, options),
  };
  checkGraph(saved.name, graph);
  return { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) };
}

/** The stored rows of the adjacency matrix, `[N, N]` in the file. */
async function edges(saved: Saved, layout: NodeLayout): Promise<Float32Array> {
  const { n_nodes: N, n_features, n_rows } = layout;
  const matrix = await saved.floats('adjacency_matrix', [N, N]);
  const [start, stop] = [n_features * N, layout.logits.start * N];
  const place = matrix.subarray(start, stop).findIndex((value) => value !== 0);
  if (place >= 0) {
    const target = n_features + Math.floor(place / N);
    throw saved.bad(
      'adjacency_matrix',
      `has an edge to node ${target}, an error or a token, which have no inputs`,
    );
  }
  const rows = new Float32Array(n_rows * N);
  rows.set(matrix.subarray(0, start));
  rows.set(matrix.subarray(stop), start);
  return rows;
}

interface LogitTargets {
  readonly ids: Int32Array;
  /** Empty where the file has none. */
  readonly labels: readonly string[];
}

/** Three forms: a list of (text, id), a tensor of ids of the same name, and before that one called `logit_tokens`. */
async function logitTargets(saved: Saved): Promise<LogitTargets> {
  const list = saved.fields.get('logit_targets');
  if (Array.isArray(list)) {
    const targets = list.map((target, i) => logitTarget(saved, target, `logit_targets[${i}]`));
    return { ids: Int32Array.from(targets, ({ id }) => id), labels: targets.map(({ label }) => label) };
  }
  const ids = await saved.integers(list === undefined ? 'logit_tokens' : 'logit_targets', [null]);
  return { ids, labels: Array.from(ids, () => '') };
}

function logitTarget(saved: Saved, target: PickleValue, field: string): { id: number; label: string } {
  if (target instanceof PickleObject && target.name === LOGIT_TARGET) {
    const [label, id] = target.args;
    if (typeof label === 'string' && typeof id === 'number' && isInt32(id)) return { id, label };
  }
  throw saved.bad(field, `is ${described(target)}; expected a LogitTarget of a text and a token id`);
}

function provenanceOf(
  saved: Saved,
  { model, dtype, vocabulary_size }: ModelConfig,
  tokens: Int32Array,
  targets: LogitTargets,
  { tracer_version, tokenStrings }: CircuitTracerOptions,
): Provenance {
  const names = (ids: Int32Array): readonly string[] =>
    tokenStrings?.(ids) ?? Array.from(ids, (id) => `#${id}`);
  const scans = saved.scans();
  const scan = scans.length > 0 ? scans.join(',') : UNKNOWN;
  return {
    tracer_version,
    model: { name: model, revision: null, config_sha256: null },
    transcoders: { name: scan, revision: null, config_sha256: null },
    backend: ORIGIN,
    device: UNKNOWN,
    dtype,
    options: {},
    prompt: saved.text('input_string'),
    token_strings: names(tokens),
    logit_labels: targets.labels.map((label, i) => label || names(targets.ids.subarray(i, i + 1))[0]!),
    vocabulary_size,
    scan,
    created: UNKNOWN,
  };
}
