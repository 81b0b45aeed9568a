/** The golden graphs of both fixtures, as this room's `Graph` and as what the reference made of them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import type { TensorFile } from '../../src/formats/tensor-file.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { NodeLayout } from '../../src/graph/node-layout.ts';
import type { Fixture } from '../support/golden.ts';

const GOLDEN = path.join(import.meta.dirname, '../fixtures/golden');
export type { Fixture };

export const FIXTURES = ['tiny-a', 'tiny-b'] as const;

export interface PruneCase {
  readonly key: string;
  readonly nodeThreshold: number;
  readonly edgeThreshold: number;
  readonly nodeMask: number[];
  readonly edges: number[];
  readonly cumulativeScores: number[];
}

export interface ViewerCase {
  readonly file: string;
  readonly slug: string;
  readonly node_threshold: number;
  readonly edge_threshold: number;
}

interface GraphEntry {
  readonly set: string;
  readonly prompt: string;
  readonly scan: string;
  readonly input_string: string;
  readonly n_layers: number;
  readonly n_pos: number;
  readonly vocab_size: number;
  readonly n_nodes: number;
  readonly options: Record<string, number | null>;
  readonly logit_targets: readonly { readonly token_str: string; readonly vocab_idx: number }[];
  readonly replacement_score: number;
  readonly completeness_score: number;
  readonly selection: { readonly rankings: number };
  readonly graph_files: readonly ViewerCase[];
}

export interface GoldenGraph {
  readonly fixture: Fixture;
  readonly id: string;
  readonly entry: GraphEntry;
  readonly graph: Graph;
  readonly prunings: readonly PruneCase[];
  readonly rankings: readonly { readonly influences: Float32Array; readonly picked: Int32Array }[];
}

export function readExpected(fixture: Fixture, name: string): unknown {
  return JSON.parse(readFileSync(path.join(GOLDEN, fixture, 'expected', name), 'utf8'));
}

export function toleranceOf(fixture: Fixture) {
  const manifest = readExpected(fixture, 'manifest.json') as {
    tolerance: { adjacency: number; probabilities_influence_scores: number };
  };
  return manifest.tolerance;
}

export function goldenIds(fixtures: readonly Fixture[] = FIXTURES): { fixture: Fixture; id: string }[] {
  return fixtures.flatMap((fixture) =>
    Object.keys(readExpected(fixture, 'graphs.json') as object).map((id) => ({ fixture, id })),
  );
}

export async function readGolden(fixture: Fixture, id: string): Promise<GoldenGraph> {
  const entry = (readExpected(fixture, 'graphs.json') as Record<string, GraphEntry>)[id]!;
  const prompts = readExpected(fixture, 'prompts.json') as Record<string, { token_strings: string[] }>;
  using file = await openSafetensors(path.join(GOLDEN, fixture, 'expected/graphs', `${id}.safetensors`));
  const graph = await readGraph(file, entry, prompts[entry.prompt]!.token_strings);
  const names = [...file.tensors.keys()];
  const prunings = names.filter((name) => /^prune_.*\/edges$/.test(name)).map((name) => name.split('/')[0]!);
  // Graphs of layouts come without their rankings.
  const n_rankings = file.tensors.has('ranking/0/picked') ? entry.selection.rankings : 0;
  const rankings = Array.from({ length: n_rankings }, async (_, i) => ({
    influences: await floats(file, `ranking/${i}/influences`),
    picked: await ints(file, `ranking/${i}/picked`),
  }));
  return {
    fixture,
    id,
    entry,
    graph,
    prunings: await Promise.all(prunings.map((key) => readPruning(file, key))),
    rankings: await Promise.all(rankings),
  };
}

async function readGraph(file: TensorFile, entry: GraphEntry, tokenStrings: string[]): Promise<Graph> {
  const selected_features = await ints(file, 'selected_features');
  const logit_token_ids = await ints(file, 'logit_token_ids');
  const layout = new NodeLayout({
    n_features: selected_features.length,
    n_layers: entry.n_layers,
    n_pos: entry.n_pos,
    n_logits: logit_token_ids.length,
  });
  const matrix = await floats(file, 'adjacency_matrix');
  const N = layout.n_nodes;
  const edges = new Float32Array(layout.n_rows * N);
  for (let row = 0; row < layout.n_rows; row++) {
    const node = layout.nodeOfRow(row);
    edges.set(matrix.subarray(node * N, (node + 1) * N), row * N);
  }
  return {
    layout,
    edges,
    active_features: await ints(file, 'active_features'),
    activation_values: await floats(file, 'activation_values'),
    selected_features,
    input_tokens: await ints(file, 'input_tokens'),
    logit_token_ids,
    logit_probabilities: await floats(file, 'logit_probabilities'),
    node_influence: await floats(file, 'node_influence'),
    provenance: {
      tracer_version: '0.0.0',
      model: { name: entry.set, revision: null, config_sha256: null },
      transcoders: { name: entry.scan, revision: null, config_sha256: null },
      backend: 'reference',
      device: 'cpu',
      dtype: 'float32',
      options: entry.options,
      prompt: entry.input_string,
      token_strings: tokenStrings,
      logit_labels: entry.logit_targets.map(({ token_str }) => token_str),
      vocabulary_size: entry.vocab_size,
      scan: entry.scan,
      created: '2026-01-01T00:00:00.000Z',
    },
  };
}

async function readPruning(file: TensorFile, key: string): Promise<PruneCase> {
  const [, node, edge] = /^prune_n([\d.]+)_e([\d.]+)$/.exec(key)!;
  return {
    key,
    nodeThreshold: Number(node),
    edgeThreshold: Number(edge),
    nodeMask: Array.from(await file.read(`${key}/node_mask`)),
    edges: Array.from(await ints(file, `${key}/edges`)),
    cumulativeScores: Array.from(await floats(file, `${key}/cumulative_scores`)),
  };
}

async function floats(file: TensorFile, name: string): Promise<Float32Array> {
  const bytes = await file.read(name);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float32Array.BYTES_PER_ELEMENT);
}

async function ints(file: TensorFile, name: string): Promise<Int32Array> {
  const bytes = await file.read(name);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Int32Array.BYTES_PER_ELEMENT);
}

/** Largest absolute difference; infinite for different lengths. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  return Array.from(actual).reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!)), 0);
}
