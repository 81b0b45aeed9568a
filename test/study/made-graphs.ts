/** Folders of small graphs whose nodes and weights are known, with their manifests. */
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { Manifest, originDigest } from '../../src/engine/attribute/manifest.ts';
import { partOf, type Shard } from '../../src/engine/shard.ts';
import { TracerError } from '../../src/errors.ts';
import { writeGraph } from '../../src/graph/files.ts';
import type { Graph, JsonValue } from '../../src/graph/graph.ts';
import { nodeInfluence } from '../../src/graph/influence.ts';
import { keptGraph } from '../../src/graph/kept-graph.ts';
import { NodeLayout } from '../../src/graph/node-layout.ts';
import { pruneGraph, PRUNE_DEFAULTS } from '../../src/graph/prune.ts';
import { graphScores } from '../../src/graph/scores.ts';
import { Random } from '../../src/random.ts';

export const N_LAYERS = 3;
export const VOCABULARY_SIZE = 1000;

export type MadeFeature = readonly [layer: number, positionFromEnd: number, feature: number];

export interface MadePrompt {
  readonly slug: string;
  readonly line: number;
  readonly tokens: readonly string[];
  readonly answer: string;
  readonly features: readonly MadeFeature[];
  readonly metadata?: Readonly<Record<string, JsonValue>>;
  /** Factor of a feature's links to others and to the answer; default 1. */
  readonly strength?: (feature: MadeFeature) => number;
}

/** Every feature is reached from the token at its position and from features of lower layers before it; errors from the first layer. */
export function madeGraph(prompt: MadePrompt, seed: number): Graph {
  const random = new Random(seed);
  const n_pos = prompt.tokens.length;
  const features = prompt.features
    .map((made) => ({ made, row: [made[0], n_pos + made[1], made[2]] as const }))
    .sort((a, b) => a.row[0] - b.row[0] || a.row[1] - b.row[1] || a.row[2] - b.row[2]);
  const layout = new NodeLayout({ n_features: features.length, n_layers: N_LAYERS, n_pos, n_logits: 1 });
  const edges = new Float32Array(layout.n_rows * layout.n_nodes);
  const some = (): number => 0.5 + random.next();
  const set = (row: number, source: number, weight: number): void => {
    edges[row * layout.n_nodes + source] = weight;
  };
  for (let row = 0; row < layout.n_rows; row++) {
    const target = features[row]?.row;
    features.forEach(({ made, row: [layer, position] }, source) => {
      if (target !== undefined && (layer >= target[0] || position > target[1])) return;
      set(row, source, some() * (prompt.strength?.(made) ?? 1));
    });
    const position = target?.[1] ?? n_pos - 1;
    set(row, layout.tokenIndex(position), some());
    set(row, layout.errorIndex(0, position), 0.2 * some());
  }
  const id = (text: string): number =>
    [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)!) % 997, 7);
  const graph: Graph = {
    layout,
    edges,
    active_features: Int32Array.from(features.flatMap(({ row }) => [...row])),
    activation_values: Float32Array.from(features, some),
    selected_features: Int32Array.from(features.keys()),
    input_tokens: Int32Array.from(prompt.tokens, id),
    logit_token_ids: Int32Array.of(id(prompt.answer)),
    logit_probabilities: Float32Array.of(0.9),
    node_influence: new Float32Array(layout.n_nodes),
    provenance: {
      tracer_version: '1.2.3',
      model: { name: 'owner/model', revision: 'abc', config_sha256: null },
      transcoders: { name: 'owner/set', revision: 'def', config_sha256: null },
      backend: 'tensorflow',
      device: 'cpu',
      dtype: 'float32',
      options: {},
      prompt: prompt.tokens.join(''),
      token_strings: prompt.tokens,
      logit_labels: [prompt.answer],
      vocabulary_size: VOCABULARY_SIZE,
      scan: 'owner/set',
      created: new Date().toISOString(),
    },
  };
  return { ...graph, node_influence: Float32Array.from(nodeInfluence(graph)) };
}

/** As `attribute --store nodes` would keep it. */
export function storedPruned(graph: Graph): Graph {
  const { nodeThreshold, edgeThreshold } = PRUNE_DEFAULTS;
  const options = { store: 'nodes', node_threshold: nodeThreshold, edge_threshold: edgeThreshold };
  return keptGraph(
    pruneGraph({ ...graph, provenance: { ...graph.provenance, options } }),
    graphScores(graph),
  );
}

export interface FolderOptions {
  readonly shard?: Shard;
  readonly alter?: (graph: Graph) => Graph;
}

/** Writes the graphs of prompts and the manifest into a folder. */
export async function madeFolder(
  folder: string,
  prompts: readonly MadePrompt[],
  { shard, alter = (graph) => graph }: FolderOptions = {},
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  await using manifest = await Manifest.open(folder, shard);
  const mine = shard ? partOf(prompts, shard) : prompts;
  for (const prompt of mine) {
    const whole = madeGraph(prompt, prompt.line);
    const file = path.join(folder, `${prompt.slug}.safetensors`);
    await writeGraph(file, alter(whole));
    const { slug, line, metadata = {} } = prompt;
    await manifest.append({
      ...{ slug, line, metadata, prompt: prompt.tokens.slice(1).join('') },
      origin: originDigest({ tokens: prompt.tokens, features: prompt.features }),
      n_tokens: prompt.tokens.length,
      n_nodes: pruneGraph(whole).nodeMask.reduce((sum, kept) => sum + kept, 0),
      scan: whole.provenance.scan,
      scores: graphScores(whole),
      files: [{ path: file, bytes: statSync(file).size }],
    });
  }
  return folder;
}

/** Prompts whose features are drawn from a pool, each with the chance of one half; `always` is in all of them. */
export function randomPrompts(
  count: number,
  seed: number,
  always: readonly MadeFeature[] = [],
): MadePrompt[] {
  const random = new Random(seed);
  const pool = Array.from({ length: 24 }, (_, i): MadeFeature => [i % N_LAYERS, -1 - (i % 2), 10 + i]);
  return Array.from({ length: count }, (_, i) => ({
    slug: `prompt-${i}`,
    line: i + 1,
    tokens: ['<bos>', 'The', ' capital', ' of', ` place${i % 7}`, ' is'],
    answer: ` answer${i % 7}`,
    features: [...pool.filter(() => random.next() < 0.5), ...always],
    metadata: { group: i % 2 === 0 ? 'even' : 'odd' },
  }));
}

/** Exit code and code of the error that a verb ends with. */
export async function failure(work: Promise<unknown>): Promise<[number, string]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof TracerError) return [error.exitCode, error.code];
    throw error;
  }
  throw new Error('no error');
}
