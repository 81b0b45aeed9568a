/** Graph, files: one safetensors file a graph. All checks are made here, when the file is read. */

import type { AtomicOptions } from '../formats/atomic.ts';
import { parseJson } from '../formats/json.ts';
import { convertedName, isPickleName } from '../formats/pickle.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { writeSafetensors, type TensorToWrite } from '../formats/safetensors-writer.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import { BadFileError } from '../errors.ts';
import { checkGraph } from './check.ts';
import { FEATURE_FIELDS, type Graph } from './graph.ts';
import { NodeLayout } from './node-layout.ts';
import { namedProvenance, provenanceSchema } from './provenance.ts';
import { isViewerFile } from './read-viewer.ts';

const FORMAT = 'tracer.graph';
const FORMAT_VERSION = '1';

/** Tensors of the file with their axes: axes of equal names have equal lengths, numbers are fixed lengths. */
const TENSORS = {
  edges: { dtype: 'F32', axes: ['rows', 'N'] },
  active_features: { dtype: 'I32', axes: ['n', FEATURE_FIELDS] },
  activation_values: { dtype: 'F32', axes: ['n'] },
  selected_features: { dtype: 'I32', axes: ['k'] },
  input_tokens: { dtype: 'I32', axes: ['n_pos'] },
  logit_token_ids: { dtype: 'I32', axes: ['n_logits'] },
  logit_probabilities: { dtype: 'F32', axes: ['n_logits'] },
  node_influence: { dtype: 'F32', axes: ['N'] },
} as const;

type TensorName = keyof typeof TENSORS;
type Axis = 'rows' | 'N' | 'n' | 'k' | 'n_pos' | 'n_logits';
type AxisLengths = Record<Axis, number>;
const NAMES = Object.keys(TENSORS) as TensorName[];

/**
 * Writes a graph file, complete or not at all. Errors are those of `writeSafetensors`.
 * @param side tensors beside those of the graph, which `readGraph` does not look at
 */
export async function writeGraph(
  path: string,
  graph: Graph,
  options?: AtomicOptions,
  side: readonly TensorToWrite[] = [],
): Promise<void> {
  const { layout } = graph;
  const lengths: AxisLengths = {
    rows: layout.n_rows,
    N: layout.n_nodes,
    n: graph.activation_values.length,
    k: layout.n_features,
    n_pos: layout.n_pos,
    n_logits: layout.n_logits,
  };
  await writeSafetensors(
    path,
    [
      ...NAMES.map((name) => ({
        name,
        dtype: TENSORS[name].dtype,
        shape: TENSORS[name].axes.map((axis) => (typeof axis === 'number' ? axis : lengths[axis])),
        data: graph[name],
      })),
      ...side,
    ],
    { format: FORMAT, format_version: FORMAT_VERSION, provenance: JSON.stringify(graph.provenance) },
    options,
  );
}

/**
 * Reads a graph file. Throws `NotFoundError` when it does not exist and `BadFileError` when it is not a graph file, has another
 * version, or is inconsistent: shapes, order, ranges, numbers that are not finite, cycles.
 */
export async function readGraph(path: string): Promise<Graph> {
  using file = await openGraphFile(path);
  checkFormat(file);
  const lengths = axisLengths(file);
  const layout = layoutOf(file.name, lengths);
  const input_tokens = await ints(file, 'input_tokens');
  const logit_token_ids = await ints(file, 'logit_token_ids');
  const provenance = parseJson(
    `${file.name}, metadata provenance`,
    file.metadata['provenance'] ?? '{}',
    provenanceSchema,
  );
  const graph: Graph = {
    layout,
    edges: await floats(file, 'edges'),
    active_features: await ints(file, 'active_features'),
    activation_values: await floats(file, 'activation_values'),
    selected_features: await ints(file, 'selected_features'),
    input_tokens,
    logit_token_ids,
    logit_probabilities: await floats(file, 'logit_probabilities'),
    node_influence: await floats(file, 'node_influence'),
    provenance: namedProvenance(file.name, provenance, input_tokens, logit_token_ids),
  };
  checkGraph(file.name, graph);
  return graph;
}

async function openGraphFile(path: string): Promise<TensorFile> {
  try {
    return await openSafetensors(path);
  } catch (cause) {
    if (!(cause instanceof BadFileError)) throw cause;
    if (isViewerFile(path)) {
      throw new BadFileError({
        code: 'unknown_format',
        message: `${path} is JSON by its name; expected a graph file`,
        hint: "A viewer's JSON is read by `tracer report`, `serve` and `graph suggest`, `export` and `upload`; this needs the graph file.",
        cause,
      });
    }
    if (!isPickleName(path)) throw cause;
    throw new BadFileError({
      code: 'unknown_format',
      message: `${path} is a file of PyTorch; expected a graph file`,
      hint: `Make one of it, if circuit-tracer wrote it: tracer graph import ${path} --output ${convertedName(path)}`,
      cause,
    });
  }
}

function checkFormat({ name, metadata }: TensorFile): void {
  const { format, format_version } = metadata;
  if (format !== FORMAT) {
    throw new BadFileError({
      code: 'not_a_graph',
      message: `${name} is no graph file: its metadata says format ${JSON.stringify(format ?? null)}, expected "${FORMAT}".`,
      hint: 'Make one with `tracer attribute PROMPT --output FILE`.',
    });
  }
  if (format_version !== FORMAT_VERSION) {
    throw new BadFileError({
      code: 'graph_version',
      message: `${name} has format version ${JSON.stringify(format_version ?? null)}; this program reads "${FORMAT_VERSION}".`,
      hint: 'Read it with the program that wrote it, or attribute the prompt again.',
    });
  }
}

/** Length of every axis; throws unless all tensors exist with the expected types and their shapes agree. */
function axisLengths(file: TensorFile): AxisLengths {
  const lengths: Partial<AxisLengths> = {};
  for (const name of NAMES) {
    const { dtype, axes } = TENSORS[name];
    const info = file.tensors.get(name);
    if (info === undefined) throw badTensor(file.name, name, `is missing`);
    if (info.dtype !== dtype) throw badTensor(file.name, name, `has dtype ${info.dtype}, expected ${dtype}`);
    const found = `has shape [${info.shape.join(', ')}], expected [${axes.join(', ')}]`;
    if (info.shape.length !== axes.length) throw badTensor(file.name, name, found);
    axes.forEach((axis, i) => {
      const length = info.shape[i]!;
      const expected = typeof axis === 'number' ? axis : (lengths[axis] ??= length);
      if (length !== expected) {
        throw badTensor(file.name, name, `${found} with ${axis} = ${expected}`);
      }
    });
  }
  return lengths as AxisLengths;
}

/** The number of layers follows from the number of columns. */
function layoutOf(file: string, { rows, N, n, k, n_pos, n_logits }: AxisLengths): NodeLayout {
  if (k > n)
    throw badTensor(file, 'selected_features', `has ${k} entries, but only ${n} features are active`);
  if (rows !== k + n_logits) {
    throw badTensor(file, 'edges', `has ${rows} rows, expected ${k} for features and ${n_logits} for logits`);
  }
  const n_layers = (N - k - n_pos - n_logits) / n_pos;
  if (n_pos === 0 || n_logits === 0 || !Number.isInteger(n_layers) || n_layers < 1) {
    throw badTensor(
      file,
      'edges',
      `has ${N} columns, which ${k} features, ${n_pos} tokens, ${n_logits} logits and whole layers of errors do not add up to`,
    );
  }
  return new NodeLayout({ n_features: k, n_layers, n_pos, n_logits });
}

function badTensor(file: string, tensor: string, fault: string): BadFileError {
  return new BadFileError({
    code: 'graph_tensor',
    message: `${file}: tensor ${tensor} ${fault}.`,
    hint: 'The file is damaged or was not written by `tracer attribute`. Attribute the prompt again.',
  });
}

async function floats(file: TensorFile, name: TensorName): Promise<Float32Array> {
  const bytes = await file.read(name);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float32Array.BYTES_PER_ELEMENT);
}

async function ints(file: TensorFile, name: TensorName): Promise<Int32Array> {
  const bytes = await file.read(name);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Int32Array.BYTES_PER_ELEMENT);
}
