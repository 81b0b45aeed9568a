/** Backend, below TF.js: the addon that executes TensorFlow ops, and the few raw ops that TF.js does not offer. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { BadFileError } from '../../errors.ts';
import type { Tensor } from '../backend.ts';
import { ADDON_FILE, GATE_FILE } from '../install/folder.ts';

/** TensorFlow's number for bfloat16 and float16; TF.js has no name for them (tensorflow/core/framework/types.proto). */
const DT_BFLOAT16 = 14;
const DT_HALF = 19;
/** Types of what `Where` takes and gives. */
const DT_BOOL = 10;
const DT_INT64 = 9;

/** What the addon of stored products says of a mapped file that was cut off (native/products/addon.cc). */
const CUT_FILE = /TRACER_CUT_FILE (.*)/s;

/** An attribute of a raw op. */
export interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

export interface OpResult {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

/** The part of `tfjs_binding.node` that is used here. Tensor ids stand for tensors that TensorFlow owns. */
export interface Binding {
  createTensor(
    shape: readonly number[],
    dtype: number,
    values: Uint8Array | Float32Array | Int32Array,
  ): number;
  deleteTensor(id: number): void;
  executeOp(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly number[],
    nOutputs: number,
  ): OpResult[];
  isUsingGpuDevice(): boolean;
  readonly TF_Version: string;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_UINT8: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_INT: number;
}

/** TF.js' own backend over the binding: the two methods that turn TF.js tensors into ids and back. */
export interface KernelBackend {
  getInputTensorIds(tensors: readonly Tensor[]): number[];
  createOutputTensor(metadata: OpResult): Tensor;
}

/** Loads the addon without TensorFlow's start-up messages, which would precede the output of every command. */
export function loadBinding(addonFolder: string): Binding {
  const require = createRequire(import.meta.url);
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '3';
  // TensorFlow switches oneDNN on by itself on some processors only; its products are two to eight times faster.
  process.env['TF_ENABLE_ONEDNN_OPTS'] ??= '1';
  const gatePath = path.join(addonFolder, GATE_FILE);
  // TensorFlow logs a line from a static initialiser, before any of its log settings can be made (native/stderr_gate.c).
  const gate = existsSync(gatePath) ? (require(gatePath) as { close(): void; open(): void }) : undefined;
  gate?.close();
  try {
    return require(path.join(addonFolder, ADDON_FILE)) as Binding;
  } finally {
    gate?.open();
  }
}

/** Raw tensors by id: what `Weight` needs below TF.js, because TF.js has no bfloat16. */
export class RawOps {
  readonly binding: Binding;
  readonly FLOAT: number;
  readonly BFLOAT16 = DT_BFLOAT16;
  readonly HALF = DT_HALF;

  constructor(binding: Binding) {
    this.binding = binding;
    this.FLOAT = binding.TF_FLOAT;
  }

  /** A matrix over the given bytes. On the CPU the memory is shared, not copied, when it is aligned. */
  matrix(bytes: Uint8Array, rows: number, columns: number, dtype: number): number {
    const elementBytes = dtype === this.FLOAT ? 4 : 2;
    const raw = this.binding.createTensor([rows, columns, elementBytes], this.binding.TF_UINT8, bytes);
    const id = this.one('Bitcast', [this.type('T', this.binding.TF_UINT8), this.type('type', dtype)], [raw]);
    this.delete(raw);
    return id;
  }

  /** A float32 matrix. */
  floats(values: Float32Array, rows: number, columns: number): number {
    return this.binding.createTensor([rows, columns], this.FLOAT, values);
  }

  cast(id: number, from: number, to: number): number {
    return this.one(
      'Cast',
      [this.type('SrcT', from), this.type('DstT', to), this.bool('Truncate', false)],
      [id],
    );
  }

  /** a · b, or a · bᵀ with `transposeB`. */
  matMul(a: number, b: number, transposeB: boolean, dtype: number): number {
    const attributes = [
      this.bool('transpose_a', false),
      this.bool('transpose_b', transposeB),
      this.type('T', dtype),
    ];
    return this.one('MatMul', attributes, [a, b]);
  }

  /** Rows (axis 0) or columns (axis 1) by index. */
  gather(id: number, indices: Int32Array, axis: 0 | 1, dtype: number): number {
    const { TF_INT32 } = this.binding;
    const indexId = this.binding.createTensor([indices.length], TF_INT32, indices);
    const axisId = this.binding.createTensor([], TF_INT32, Int32Array.of(axis));
    const attributes = [
      { name: 'batch_dims', type: this.binding.TF_ATTR_INT, value: 0 },
      this.type('Tparams', dtype),
      this.type('Tindices', TF_INT32),
      this.type('Taxis', TF_INT32),
    ];
    const result = this.one('GatherV2', attributes, [id, indexId, axisId]);
    this.delete(indexId, axisId);
    return result;
  }

  /**
   * Entries of a float32 matrix at which a matrix of bools is true, by row, then column: float32 [n, 3], of which the first two are the
   * bits of integers, row and column, and the third is the value.
   */
  entries(matrix: number, isWanted: number): { readonly id: number; readonly n: number } {
    const { TF_INT32 } = this.binding;
    const [where] = this.binding.executeOp('Where', [this.type('T', DT_BOOL)], [isWanted], 1);
    const places = this.cast(where!.id, DT_INT64, TF_INT32);
    const ofGather = [this.type('Tparams', this.FLOAT), this.type('Tindices', TF_INT32)];
    const values = this.one('GatherNd', ofGather, [matrix, places]);
    const axis = this.integer(1);
    const ofExpansion = [this.type('T', this.FLOAT), this.type('Tdim', TF_INT32)];
    const column = this.one('ExpandDims', ofExpansion, [values, axis]);
    const bits = this.one('Bitcast', [this.type('T', TF_INT32), this.type('type', this.FLOAT)], [places]);
    const id = this.concat([bits, column], 1);
    this.delete(where!.id, places, values, axis, column, bits);
    return { id, n: where!.shape[0]! };
  }

  transpose(id: number, dtype: number): number {
    const { TF_INT32 } = this.binding;
    const order = this.binding.createTensor([2], TF_INT32, Int32Array.of(1, 0));
    const result = this.one('Transpose', [this.type('T', dtype), this.type('Tperm', TF_INT32)], [id, order]);
    this.delete(order);
    return result;
  }

  /** Float32 matrices under each other (axis 0) or side by side (axis 1). */
  concat(ids: readonly number[], alongAxis: 0 | 1): number {
    const { TF_INT32, TF_ATTR_INT } = this.binding;
    const axis = this.binding.createTensor([], TF_INT32, Int32Array.of(alongAxis));
    const attributes = [
      { name: 'N', type: TF_ATTR_INT, value: ids.length },
      this.type('T', this.FLOAT),
      this.type('Tidx', TF_INT32),
    ];
    const result = this.one('ConcatV2', attributes, [...ids, axis]);
    this.delete(axis);
    return result;
  }

  /** A scalar of int32. */
  integer(value: number): number {
    return this.binding.createTensor([], this.binding.TF_INT32, Int32Array.of(value));
  }

  /** x · stored, or x · storedᵀ, of a matrix that the addon of stored products knows by number. */
  storedProduct(x: number, handleId: number, transpose: boolean): number {
    return this.stored('TracerProduct', [this.bool('flag', transpose)], [x, handleId]);
  }

  /** Rows or columns of such a matrix by index, as float32. */
  storedGather(indices: Int32Array, handleId: number, axis: 'rows' | 'columns'): number {
    const indexId = this.binding.createTensor([indices.length], this.binding.TF_INT32, indices);
    const result = this.stored('TracerGather', [this.bool('flag', axis === 'columns')], [indexId, handleId]);
    this.delete(indexId);
    return result;
  }

  /** An op of the addon that meets a few rows of a matrix (`native/products/sparse.h`); `numbers` are its last inputs. */
  sparseOp(
    name: 'TracerWeightedSum' | 'TracerRowDots' | 'TracerScatteredSum' | 'TracerLargest',
    inputs: readonly number[],
    numbers: readonly number[] = [],
  ): OpResult[] {
    const scalars = numbers.map((value) => this.integer(value));
    try {
      const all = [...inputs, ...scalars];
      return this.binding.executeOp(name, [this.bool('flag', false)], all, name === 'TracerLargest' ? 2 : 1);
    } finally {
      this.delete(...scalars);
    }
  }

  /** Throws `BadFileError` when a mapped file lost its end: what was computed from it is wrong. */
  private stored(name: string, attributes: readonly OpAttribute[], inputs: readonly number[]): number {
    try {
      return this.one(name, attributes, inputs);
    } catch (cause) {
      const path = CUT_FILE.exec((cause as Error).message)?.[1];
      if (path === undefined) throw cause;
      throw new BadFileError({
        code: 'file_truncated',
        message: `${path} became shorter while it was in use`,
        hint: 'Something else wrote into the file. Fetch it again, and start again.',
        cause,
      });
    }
  }

  sum(ids: readonly number[]): number {
    const n = { name: 'N', type: this.binding.TF_ATTR_INT, value: ids.length };
    return this.one('AddN', [n, this.type('T', this.FLOAT)], ids);
  }

  /** Columns [start, start + width) of a float32 matrix with `rows` rows. */
  columns(id: number, rows: number, start: number, width: number): number {
    const { TF_INT32 } = this.binding;
    const begin = this.binding.createTensor([2], TF_INT32, Int32Array.of(0, start));
    const size = this.binding.createTensor([2], TF_INT32, Int32Array.of(rows, width));
    const attributes = [this.type('T', this.FLOAT), this.type('Index', TF_INT32)];
    const result = this.one('Slice', attributes, [id, begin, size]);
    this.delete(begin, size);
    return result;
  }

  delete(...ids: readonly number[]): void {
    for (const id of ids) this.binding.deleteTensor(id);
  }

  private one(name: string, attributes: readonly OpAttribute[], inputs: readonly number[]): number {
    return this.binding.executeOp(name, attributes, inputs, 1)[0]!.id;
  }

  private type(name: string, value: number): OpAttribute {
    return { name, type: this.binding.TF_ATTR_TYPE, value };
  }

  private bool(name: string, value: boolean): OpAttribute {
    return { name, type: this.binding.TF_ATTR_BOOL, value };
  }
}
