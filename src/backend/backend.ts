/** What the rest of `tracer` knows of a backend: TF.js tensors, parameters behind `Weight`, and how much is held. */
import type * as tfjs from '@tensorflow/tfjs-core';
import type { FileLocation } from '../formats/byte-source.ts';
import type { PackedType } from '../formats/packed.ts';
import type { EntryFinder, EntryRule } from './entries.ts';
import type { MatrixSum } from './matrix-sum.ts';

export type Tensor = tfjs.Tensor;
export type Tensor1D = tfjs.Tensor1D;
export type Tensor2D = tfjs.Tensor2D;
export type Tensor3D = tfjs.Tensor3D;
export type Tensor4D = tfjs.Tensor4D;

/** What a user can ask for, and `cuda:N`. `cpu` and `cuda` are native TensorFlow; `cuda` is the first card, `cuda:N` card N. */
export const DEVICE_CHOICES = ['auto', 'cpu', 'cuda', 'webgpu', 'wasm'] as const;
export type DeviceKind = Exclude<(typeof DEVICE_CHOICES)[number], 'auto'>;
export type CudaCard = `cuda:${number}`;
export type Device = DeviceKind | CudaCard;
export type DeviceChoice = 'auto' | Device;

/** Arithmetic, not storage: bfloat16 checkpoints are multiplied exactly in float32 unless bfloat16 is asked for. */
export const ARITHMETIC_CHOICES = ['float32', 'bfloat16'] as const;
export type Arithmetic = (typeof ARITHMETIC_CHOICES)[number];

/** How the numbers of a parameter are stored. Rows of a packed type are whole blocks, which products unpack while they multiply. */
export type WeightType = 'float32' | 'bfloat16' | 'float16' | PackedType;

/** A matrix parameter. Its storage (type, device, blocks, memory or file) stays behind this interface. */
export interface Weight extends Disposable {
  readonly name: string;
  /** Logical shape [rows, columns]. */
  readonly shape: readonly [number, number];
  readonly dtype: WeightType;
  /** Bytes of the stored form, held in memory or not. */
  readonly storedBytes: number;
  /** Bytes held in memory now. */
  readonly heldBytes: number;
  /** Products take it as it is stored. Else they may make a float32 copy each time, so that one is worth keeping where it is used often. */
  readonly isMultipliedAsStored: boolean;
  /**
   * The weight ready to be used, at once when it is held already, else after reading it.
   * Dispose it after use: `using W_O = await weight.acquire();`
   */
  acquire(): Promise<HeldWeight>;
  /** The given rows as float32 [indices.length, columns], reading no others from a file where that is possible. */
  rows(indices: Int32Array): Promise<Tensor2D>;
  /** Frees the memory. The weight and what was acquired of it throw when they are used afterwards. */
  [Symbol.dispose](): void;
}

/**
 * A parameter whose numbers are in memory: used synchronously, also inside `tf.tidy` and under autodiff. It is a loan of the
 * `Weight`: once disposed it throws when it is used, and disposing it again does nothing.
 */
export interface HeldWeight extends Disposable {
  readonly shape: readonly [number, number];
  /**
   * x · W, or x · Wᵀ with `transpose`, in float32 (bfloat16 arithmetic only when the backend was made with it).
   * x is [n, rows], or [n, columns] with `transpose`; the result belongs to the caller. Autodiff passes through to x;
   * the weight itself is frozen.
   */
  matMul(x: Tensor2D, options?: { readonly transpose?: boolean }): Tensor2D;
  /** The given rows as float32 [indices.length, columns]. Throws a `RangeError` for rows that do not exist. */
  rows(indices: Int32Array): Tensor2D;
}

/** Stored numbers of a matrix, as they lie in a file or in memory. */
export interface MatrixSource {
  /** How errors name it. */
  readonly name: string;
  /** Rows and columns as stored. */
  readonly shape: readonly [number, number];
  readonly dtype: WeightType;
  /**
   * Fills `target` with the stored bytes of rows [start, stop) of the stored matrix. Once it has settled, nothing writes into
   * `target` any more, also when it failed.
   */
  readInto(target: Uint8Array, rows: { readonly start: number; readonly stop: number }): Promise<void>;
  /** Where the stored bytes lie, row after row, when that is a file of this machine which stays open meanwhile. */
  readonly location?: FileLocation | undefined;
  /** All stored bytes, where they are in memory already. They are used where they lie, and must not change meanwhile. */
  readonly bytes?: Uint8Array | undefined;
}

/** Where the numbers of a weight come from. */
export interface WeightSource extends MatrixSource {
  /** True when the stored matrix is the transpose of the logical one (Gemma Scope's W_enc). */
  readonly transposed?: boolean;
  /** Stored bytes of single rows of the stored matrix, one after the other. */
  readRows(indices: ArrayLike<number>): Promise<Uint8Array>;
}

/** m numbers for each of n tokens, and the row of a matrix that each stands for. A row may be named several times. */
export interface SparseRows {
  /** [n, m] float32 */
  readonly values: Tensor2D;
  /** [n, m] int32 */
  readonly indices: Tensor2D;
}

/** Without gradient. Results belong to the caller. */
export interface SparseProducts {
  /** Row i: Σ_j values[i, j] · W[indices[i, j]]; [n, columns] */
  weightedSum(of: SparseRows, W: Tensor2D): Tensor2D;
  /** Entry i, j: g[i] · W[indices[i, j]]; [n, m], of g [n, columns] */
  dot(g: Tensor2D, indices: Tensor2D, W: Tensor2D): Tensor2D;
  /** Row r: Σ values[i, j] · x[i] where indices[i, j] = r; [rows, columns], of x [n, columns] */
  scatter(of: SparseRows, x: Tensor2D, rows: number): Tensor2D;
  /** The m largest of each row of `values`, descending, and where they lie. */
  largest(values: Tensor2D, m: number): SparseRows;
}

export interface Backend {
  readonly name: 'tensorflow' | 'webgpu' | 'wasm';
  readonly device: Device;
  /** Tensors lie in memory of the device, which is budgeted by itself; otherwise in memory of this process. */
  readonly hasOwnMemory: boolean;
  /**
   * Bytes of the device's memory that are free, counted up to `wanted`; undefined where neither driver nor device tells, and where
   * tensors lie in memory of this process.
   */
  freeDeviceBytes(wanted: number): Promise<number | undefined>;
  /** Version of the engine below TF.js, such as `TensorFlow 2.21.0`. */
  readonly version: string;
  readonly arithmetic: Arithmetic;
  /** Instructions of its products on stored weights (`amx`, `avx512`, `avx2`, `plain`); null where the engine's own serve. */
  readonly kernel: string | null;
  /** Products in which each token meets a few rows of a matrix. */
  readonly sparse: SparseProducts;
  /** Reads the stored bytes now and keeps them in memory as they are stored. */
  loadWeight(source: WeightSource): Promise<Weight>;
  /** As `loadWeight`, but nothing is read before the first `acquire`; `rows` reads those rows alone, where it can. */
  lazyWeight(source: WeightSource): Weight;
  /** Reads on every `acquire`, and keeps nothing once it was given back. For parameters used once, or that do not fit. */
  streamWeight(source: WeightSource): Weight;
  /** For matrices of as many columns as the rule has thresholds, or groups divide. */
  entryFinder(rule: EntryRule): EntryFinder;
  /** Zeros [rows, columns] to add to. Dispose it, or take it with `using`. */
  matrixSum(rows: number, columns: number): MatrixSum;
}
