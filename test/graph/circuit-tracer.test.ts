import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { openSafetensors } from '../../src/formats/safetensors.ts';
import { widen } from '../../src/formats/dtype.ts';
import { readCircuitTracerGraph } from '../../src/graph/circuit-tracer.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { graphScores } from '../../src/graph/scores.ts';
import { GOLDEN, refusalOf } from '../formats/support.ts';
import { FORMS, formOf, membersOf, readBytes, replaced, torchFile } from './torch-files.ts';

const PT = path.join(GOLDEN, 'pt');
/** Of scores and influence, which the reference sums in float32. */
const TOLERANCE = 2e-5;
const options = { tracer_version: 'test' };

/** `[N, N]`, with the rows that a graph does not store. */
function matrixOf({ layout, edges }: Graph): Float32Array {
  const { n_nodes: N, n_features } = layout;
  const matrix = new Float32Array(N * N);
  matrix.set(edges.subarray(0, n_features * N));
  matrix.set(edges.subarray(n_features * N), layout.logits.start * N);
  return matrix;
}

/** The tensors of a graph under the names of the reference. */
function tensorsOf(graph: Graph): Record<string, ArrayLike<number>> {
  const { edges: _edges, layout: _layout, provenance: _provenance, ...tensors } = graph;
  return { ...tensors, adjacency_matrix: matrixOf(graph) };
}

interface Expected {
  input_string: string;
  scan: string;
  n_nodes: number;
  vocab_size: number;
  logit_targets: { token_str: string; vocab_idx: number }[];
  replacement: number;
  completeness: number;
}

const names = readdirSync(PT)
  .filter((name) => name.endsWith('.pt'))
  .map((name) => name.slice(0, -'.pt'.length));

describe.each(names)('%s, which circuit-tracer wrote', (name) => {
  const read = () => readCircuitTracerGraph(path.join(PT, `${name}.pt`), options);
  const expected = JSON.parse(readFileSync(path.join(PT, `${name}.json`), 'utf8')) as Expected;

  it('has the tensors of the safetensors file beside it', async () => {
    const tensors = tensorsOf(await read());
    using file = await openSafetensors(path.join(PT, `${name}.safetensors`));
    expect(Object.keys(tensors).sort()).toEqual([...file.tensors.keys()].sort());
    for (const [key, { dtype }] of file.tensors) {
      const values = widen(await file.read(key), dtype as 'F32');
      const largest = values.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - tensors[key]![i]!)),
        0,
      );
      expect([key, tensors[key]!.length]).toEqual([key, values.length]);
      if (key === 'node_influence') expect(largest).toBeLessThanOrEqual(TOLERANCE);
      else expect([key, largest]).toEqual([key, 0]);
    }
  });

  it('has the same scores', async () => {
    const { replacement, completeness } = graphScores(await read());
    expect(Math.abs(replacement - expected.replacement)).toBeLessThanOrEqual(TOLERANCE);
    expect(Math.abs(completeness - expected.completeness)).toBeLessThanOrEqual(TOLERANCE);
  });

  it('says the same about itself', async () => {
    const { provenance, layout } = await read();
    const { prompt, scan, vocabulary_size, logit_labels } = provenance;
    // The older form has ids alone.
    const labels = expected.logit_targets.map(({ token_str, vocab_idx }) =>
      name === 'a-legacy' ? `#${vocab_idx}` : token_str,
    );
    expect({ prompt, scan, vocabulary_size, logit_labels, n_nodes: layout.n_nodes }).toEqual({
      prompt: expected.input_string,
      scan: expected.scan,
      vocabulary_size: expected.vocab_size,
      logit_labels: labels,
      n_nodes: expected.n_nodes,
    });
  });
});

interface Made {
  n_layers: number;
  adjacency_matrix: number[][];
  active_features: number[][];
  activation_values: number[];
  selected_features: number[];
  input_tokens: number[];
  logit_probabilities: number[];
}
const made = JSON.parse(readFileSync(path.join(FORMS, 'graph.json'), 'utf8')) as Made;
const forms = readdirSync(FORMS)
  .filter((name) => name.endsWith('.pt') && name !== 'before-1.6.pt')
  .map((name) => name.slice(0, -'.pt'.length));

describe('all forms of one graph', () => {
  it.each(forms)('%s: the same numbers', async (form) => {
    const graph = await readBytes(formOf(form));
    expect(graph.layout.n_layers).toBe(made.n_layers);
    const tensors = tensorsOf(graph);
    const { n_layers: _layers, ...expected } = made;
    for (const [key, values] of Object.entries(expected)) {
      expect([key, Array.from(tensors[key]!)]).toEqual([key, values.flat()]);
    }
    expect(Array.from(graph.logit_token_ids)).toEqual([12, 50]);
    expect([graph.provenance.prompt, graph.provenance.model.name]).toEqual(['<bos>a b', 'acme/tiny']);
  });

  it('labels, scans and types where a form has them', async () => {
    const facts = async (form: string) => {
      const { logit_labels, scan, dtype, vocabulary_size } = (await readBytes(formOf(form))).provenance;
      return { logit_labels, scan, dtype, vocabulary_size };
    };
    const current = {
      logit_labels: [' Austin', 'L(x)-L(y)'],
      scan: 'acme/set',
      dtype: 'float32',
      vocabulary_size: 50,
    };
    expect(await facts('current')).toEqual(current);
    expect(await facts('newer')).toEqual(current);
    expect(await facts('cuda')).toEqual(current);
    expect(await facts('no-scan')).toEqual({ ...current, scan: 'unknown' });
    expect(await facts('several-sets')).toEqual({ ...current, scan: 'acme/layer-0,acme/layer-1' });
    const ids = { ...current, logit_labels: ['#12', '#50'] };
    expect(await facts('tensor-targets')).toEqual(ids);
    expect(await facts('first-release')).toEqual({ ...ids, dtype: 'bfloat16' });
  });

  it('tokens have the texts of a tokenizer, where one is given', async () => {
    const graph = await readCircuitTracerGraph(path.join(FORMS, 'first-release.pt'), {
      ...options,
      tokenStrings: (ids) => Array.from(ids, (id) => `<${id}>`),
    });
    expect(graph.provenance.token_strings).toEqual(['<2>', '<17>', '<40>']);
    expect(graph.provenance.logit_labels).toEqual(['<12>', '<50>']);
  });

  it('the form before PyTorch 1.6 is refused, and says how to go on', async () => {
    const { code, message, hint } = await refusalOf(readBytes(formOf('before-1.6')));
    expect({ code, message }).toEqual({
      code: 'unknown_format',
      message: 'graph.pt is a bare pickle, as PyTorch wrote it before version 1.6',
    });
    expect(hint).toContain('save it again');
  });
});

describe('a file that is no graph, or a damaged one, is refused by the field', () => {
  /** The current form with a part of its pickle replaced. */
  async function changed(...changes: [from: string, to: string][]): Promise<string> {
    const members = await membersOf(formOf('current'));
    for (const [from, to] of changes) members.set('data.pkl', replaced(members.get('data.pkl')!, from, to));
    const { exitCode, message } = await refusalOf(readBytes(torchFile(members)));
    expect(exitCode).toBe(4);
    return message;
  }

  it.each([
    [
      'adjacency_matrix',
      'adjacency_matrux',
      'is no graph of circuit-tracer: it has a dict without adjacency_matrix',
    ],
    ['selected_features', 'selected_featurez', 'selected_features is missing'],
    ['logit_targets', 'logit_targetz', 'logit_tokens is missing'],
    ['input_string', 'input_strong', 'input_string is missing; expected text'],
    ['n_layers', 'n_layerz', 'cfg.n_layers is no number of layers'],
    ['n_layersq\x14K\x02', 'n_layersq\x14K\x03', 'adjacency_matrix has shape [15, 15]; expected [18, 18]'],
  ])('%s', async (from, to, fault) => {
    expect(await changed([from, to])).toContain(fault);
  });

  it('edges into an error or a token', async () => {
    const members = await membersOf(formOf('current'));
    const matrix = Float32Array.from(made.adjacency_matrix.flat());
    matrix[5 * 15 + 0] = 1;
    members.set('data/0', new Uint8Array(matrix.buffer));
    const { message } = await refusalOf(readBytes(torchFile(members)));
    expect(message).toBe(
      'graph.pt: adjacency_matrix has an edge to node 5, an error or a token, which have no inputs',
    );
  });

  it('an edge that makes a circle', async () => {
    const members = await membersOf(formOf('current'));
    const matrix = Float32Array.from(made.adjacency_matrix.flat());
    matrix[0 * 15 + 3] = 1;
    members.set('data/0', new Uint8Array(matrix.buffer));
    expect((await refusalOf(readBytes(torchFile(members)))).message).toContain('the graph has a cycle');
  });

  it('another file of PyTorch, a text, nothing', async () => {
    const page = Buffer.from('<!doctype html><title>Sign in</title>');
    expect((await refusalOf(readBytes(page))).message).toContain('graph.pt is an HTML page');
    expect((await refusalOf(readBytes(new Uint8Array()))).message).toContain('graph.pt is no zip archive');
    const other = await membersOf(formOf('current'));
    other.delete('data.pkl');
    expect((await refusalOf(readBytes(torchFile(other)))).message).toContain('has 0 members named data.pkl');
  });
});
