import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BadFileError, NotFoundError, TracerError } from '../../src/errors.ts';
import { writeSafetensors, type TensorToWrite } from '../../src/formats/safetensors-writer.ts';
import { readGraph, writeGraph } from '../../src/graph/files.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { readGolden } from './golden.ts';
import { arbitraryGraph } from './random-graph.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graph-files-'));
  file = path.join(folder, 'graph.safetensors');
});
afterEach(async () => rm(folder, { recursive: true }));

type Tensors = Record<string, TensorToWrite>;

/** The tensors of a small graph, to be spoilt one by one. */
function tensorsOf(graph: Graph): Tensors {
  const { layout } = graph;
  const tensor = (name: string, dtype: 'F32' | 'I32', shape: number[], data: Float32Array | Int32Array) => ({
    [name]: { name, dtype, shape, data },
  });
  const n = graph.activation_values.length;
  return {
    ...tensor('edges', 'F32', [layout.n_rows, layout.n_nodes], graph.edges.slice()),
    ...tensor('active_features', 'I32', [n, 3], graph.active_features.slice()),
    ...tensor('activation_values', 'F32', [n], graph.activation_values.slice()),
    ...tensor('selected_features', 'I32', [layout.n_features], graph.selected_features.slice()),
    ...tensor('input_tokens', 'I32', [layout.n_pos], graph.input_tokens.slice()),
    ...tensor('logit_token_ids', 'I32', [layout.n_logits], graph.logit_token_ids.slice()),
    ...tensor('logit_probabilities', 'F32', [layout.n_logits], graph.logit_probabilities.slice()),
    ...tensor('node_influence', 'F32', [layout.n_nodes], graph.node_influence.slice()),
  };
}

const METADATA = { format: 'tracer.graph', format_version: '1', provenance: '{}' };

async function smallGraph(): Promise<Graph> {
  return (await readGolden('tiny-b', 'graph-plt-jumprelu-p2-custom')).graph;
}

function numbers(tensors: Tensors, name: string): Float32Array | Int32Array {
  return tensors[name]!.data as Float32Array | Int32Array;
}

describe('a graph file', () => {
  it('reads back as what was written', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryGraph(), async (graph) => {
        await writeGraph(file, graph);
        expect(await readGraph(file)).toEqual(graph);
      }),
      { numRuns: 30 },
    );
  });

  it('has the tensors, shapes and metadata that scripts rely on', async () => {
    const graph = await smallGraph();
    await writeGraph(file, graph);
    const bytes = await readFile(file);
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE()))) as Record<
      string,
      { shape: number[]; dtype: string; format?: string; format_version?: string; provenance?: string }
    >;
    const { layout } = graph;
    expect(Object.keys(header).sort()).toEqual([
      '__metadata__',
      'activation_values',
      'active_features',
      'edges',
      'input_tokens',
      'logit_probabilities',
      'logit_token_ids',
      'node_influence',
      'selected_features',
    ]);
    expect(header['edges']).toMatchObject({
      dtype: 'F32',
      shape: [layout.n_features + layout.n_logits, layout.n_nodes],
    });
    expect(header['active_features']).toMatchObject({
      dtype: 'I32',
      shape: [graph.activation_values.length, 3],
    });
    expect(header['__metadata__']).toMatchObject({ format: 'tracer.graph', format_version: '1' });
    expect(JSON.parse(header['__metadata__']!.provenance!)).toEqual(graph.provenance);
  });

  it('is good without a provenance: tokens and logits are then named by their ids', async () => {
    const graph = await smallGraph();
    await writeSafetensors(file, Object.values(tensorsOf(graph)), METADATA);
    const { provenance } = await readGraph(file);
    expect(provenance.token_strings[0]).toBe('#2');
    expect(provenance.logit_labels).toEqual(Array.from(graph.logit_token_ids, (id) => `#${id}`));
    expect(provenance.model).toEqual({ name: 'unknown', revision: null, config_sha256: null });
  });

  it('is told from a missing file and from other files', async () => {
    await expect(readGraph(path.join(folder, 'none.safetensors'))).rejects.toThrow(NotFoundError);
    await writeFile(file, 'no safetensors at all');
    await expect(readGraph(file)).rejects.toThrow(BadFileError);
    const tensors = Object.values(tensorsOf(await smallGraph()));
    await writeSafetensors(file, tensors);
    await expect(readGraph(file)).rejects.toMatchObject({ code: 'not_a_graph' });
    await writeSafetensors(file, tensors, { ...METADATA, format_version: '2' });
    await expect(readGraph(file)).rejects.toMatchObject({ code: 'graph_version' });
  });

  it.each([
    ['is no JSON', '{', 'json_syntax'],
    ['is no object', '7', 'bad_field'],
    ['has a field of another type', '{"scan":7}', 'bad_field'],
    ['has options that are a list', '{"options":[1]}', 'bad_field'],
    ['names too few tokens', '{"token_strings":["a"]}', 'graph_provenance'],
    ['names too many logits', '{"logit_labels":["a","b","c"]}', 'graph_provenance'],
  ])('is refused when its provenance %s', async (_, provenance, code) => {
    const tensors = Object.values(tensorsOf(await smallGraph()));
    await writeSafetensors(file, tensors, { ...METADATA, provenance });
    await expect(readGraph(file)).rejects.toMatchObject({ name: 'BadFileError', code });
  });

  const spoilt: [string, RegExp, (tensors: Tensors, graph: Graph) => void][] = [
    ['an edge that is not a number', /edges: entry 5 is NaN/, (t) => (numbers(t, 'edges')[5] = NaN)],
    [
      'an infinite activation',
      /activation_values: entry 1 is Infinity/,
      (t) => (numbers(t, 'activation_values')[1] = Infinity),
    ],
    [
      'a negative probability',
      /logit_probabilities: entry 0 is -0.5/,
      (t) => (numbers(t, 'logit_probabilities')[0] = -0.5),
    ],
    ['a negative influence', /node_influence: entry 3/, (t) => (numbers(t, 'node_influence')[3] = -1)],
    [
      'a layer that there is none of',
      /active_features: row 0 is \(layer 3/,
      (t) => (numbers(t, 'active_features')[0] = 3),
    ],
    ['a position outside the prompt', /position 12/, (t) => (numbers(t, 'active_features')[1] = 12)],
    ['a negative feature', /feature -1/, (t) => (numbers(t, 'active_features')[2] = -1)],
    ['features out of order', /sorted/, (t) => numbers(t, 'active_features').copyWithin(0, 30, 33)],
    [
      'a selected feature that is not active',
      /selected_features: entry \d+ is 123/,
      (t) => (numbers(t, 'selected_features')[39] = 123),
    ],
    [
      'a selected feature twice',
      /entries ascend/,
      (t) => numbers(t, 'selected_features').copyWithin(1, 0, 1),
    ],
    ['a negative token', /input_tokens/, (t) => (numbers(t, 'input_tokens')[0] = -2)],
    ['an edge from a feature to itself', /cycle/, (t) => (numbers(t, 'edges')[0] = 1)],
    [
      'an edge from the last feature to the first',
      /row 0 has an edge from column 39/,
      (t) => (numbers(t, 'edges')[39] = 1),
    ],
    ['an edge out of a logit', /cycle/, (t, { layout }) => (numbers(t, 'edges')[layout.logits.start] = 1)],
    ['a missing tensor', /selected_features is missing/, (t) => delete t['selected_features']],
    [
      'edges of another type',
      /has dtype I32, expected F32/,
      (t) => (t['edges'] = { ...t['edges']!, dtype: 'I32' }),
    ],
    [
      'a row too few',
      /edges has 41 rows/,
      (t, { layout }) => {
        const { n_rows, n_nodes } = layout;
        t['edges'] = {
          name: 'edges',
          dtype: 'F32',
          shape: [n_rows - 1, n_nodes],
          data: new Float32Array((n_rows - 1) * n_nodes),
        };
      },
    ],
    [
      'a token too few',
      /do not add up/,
      (t, { layout }) => {
        t['input_tokens'] = {
          name: 'input_tokens',
          dtype: 'I32',
          shape: [layout.n_pos - 1],
          data: new Int32Array(layout.n_pos - 1),
        };
      },
    ],
    [
      'no token at all',
      /0 tokens/,
      (t) => {
        t['input_tokens'] = { name: 'input_tokens', dtype: 'I32', shape: [0], data: new Int32Array(0) };
      },
    ],
    [
      'influence of another length',
      /node_influence has shape/,
      (t) => {
        t['node_influence'] = { name: 'node_influence', dtype: 'F32', shape: [1], data: new Float32Array(1) };
      },
    ],
    [
      'features of two numbers',
      /active_features has shape \[\d+\], expected \[n, 3\]/,
      (t) => {
        t['active_features'] = { name: 'active_features', dtype: 'I32', shape: [6], data: new Int32Array(6) };
      },
    ],
  ];
  it.each(spoilt)('with %s is refused with a reason', async (_, reason, spoil) => {
    const graph = await smallGraph();
    const tensors = tensorsOf(graph);
    spoil(tensors, graph);
    await writeSafetensors(file, Object.values(tensors), METADATA);
    const error: unknown = await readGraph(file).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BadFileError);
    expect((error as BadFileError).message).toMatch(reason);
    expect((error as BadFileError).message).toContain(file);
  });

  it('with any byte changed is read or refused, never a crash', async () => {
    const [graph] = fc.sample(arbitraryGraph(), { numRuns: 1, seed: 7 });
    await writeGraph(file, graph!);
    const bytes = await readFile(file);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (place, value) => {
        const changed = Buffer.from(bytes);
        changed[place] = value;
        await writeFile(file, changed);
        const result: unknown = await readGraph(file).catch((thrown: unknown) => thrown);
        if (result instanceof Error) expect(result).toBeInstanceOf(TracerError);
        else expect(result).toHaveProperty('edges');
      }),
      { numRuns: 150 },
    );
  });
});
