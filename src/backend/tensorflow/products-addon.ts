/** Backend, native TensorFlow: the addon of our own that multiplies with matrices as they are stored (`native/products`). */
import { createRequire } from 'node:module';
import type { WeightType } from '../backend.ts';

/** What `native/products/addon.cc` exports. Matrices and mapped files go by numbers. */
export interface ProductsAddon {
  /** The instructions that products use: `plain`, `avx2`, `avx512`, `amx`; `TRACER_KERNEL` names a lower one. */
  readonly kernel: string;
  /** Maps the file behind a descriptor; throws where the system refuses. */
  mapFile(descriptor: number, path: string): number;
  unmapFile(mapping: number): void;
  /** Takes the pages of a range out of this process' memory; they are mapped again when they are touched. */
  forgetPages(mapping: number, offset: number, byteLength: number): void;
  addMatrix(bytes: Uint8Array | number, offset: number, rows: number, columns: number, type: number): number;
  removeMatrix(matrix: number): void;
}

/** Numbers of `Type` in `native/products/matrix.h`. */
export const TYPE_NUMBERS: Readonly<Record<WeightType, number>> = {
  float32: 0,
  bfloat16: 1,
  float16: 2,
  Q4_0: 3,
  Q4_1: 4,
  Q5_0: 5,
  Q5_1: 6,
  Q8_0: 7,
  Q4_K: 8,
  Q5_K: 9,
  Q6_K: 10,
  MXFP4: 11,
};

export function loadProducts(file: string): ProductsAddon {
  return createRequire(import.meta.url)(file) as ProductsAddon;
}
