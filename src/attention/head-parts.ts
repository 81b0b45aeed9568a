/** Attention, step 2: Q and K of each source for heads of a layer, by the cheaper of a walk back a head and one walk forth for all. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { walkForth } from './forward.ts';
import { firstLayer, firstPosition, forwardBatches } from './forward-batch.ts';
import { headReaders, type HeadReaders, type PositionWeights, type Side } from './head-readers.ts';
import { rowsOfReaders } from './source-rows.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** One side of a head. */
export interface PartsRequest {
  readonly side: Side;
  /** Of queries, or of keys and values. */
  readonly head: number;
  readonly weights: PositionWeights;
}

/** Which walk: by its cost, or as said. */
export type WalkChoice = 'cheaper' | 'back' | 'forth';

/** What a source is to a side of a head, in double precision of float32 products: vectors [n_sources, d_head], row-major. */
export type HeadParts = Float32Array;

/** Parts of all sources for requests of one layer, in their order. Equal requests share one result. */
export async function headParts(
  prompt: TracedPrompt,
  layer: number,
  requests: readonly PartsRequest[],
  walk: WalkChoice = 'cheaper',
): Promise<HeadParts[]> {
  const keys = requests.map(({ side, head, weights }) => JSON.stringify([side, head, [...weights]]));
  const unique = requests.filter((_, i) => keys.indexOf(keys[i]!) === i);
  const readers: HeadReaders[] = [];
  try {
    for (const { side, head, weights } of unique)
      readers.push(await headReaders(prompt, side, layer, head, weights));
    const isForth = walk === 'cheaper' ? forthIsCheaper(prompt, layer, readers) : walk === 'forth';
    const parts = isForth
      ? await partsForth(prompt, layer, readers)
      : await partsBack(prompt, layer, readers);
    const own = prompt.list.start.bias + layer;
    readers.forEach(({ constant }, i) => {
      const d_head = constant.length;
      constant.forEach((value, j) => (parts[i]![own * d_head + j]! += value));
    });
    return keys.map((key) => parts[unique.findIndex((one) => requests[keys.indexOf(key)] === one)]!);
  } finally {
    for (const one of readers) one[Symbol.dispose]();
  }
}

async function partsBack(
  prompt: TracedPrompt,
  layer: number,
  readers: readonly HeadReaders[],
): Promise<HeadParts[]> {
  const { n_sources } = prompt.list;
  const parts: HeadParts[] = [];
  for (const one of readers) {
    const d_head = one.constant.length;
    parts.push(transposed(await rowsOfReaders(prompt, layer, one), d_head, n_sources));
  }
  return parts;
}

async function partsForth(
  prompt: TracedPrompt,
  layer: number,
  readers: readonly HeadReaders[],
): Promise<HeadParts[]> {
  const { list, replacement } = prompt;
  const { d_model, d_head } = replacement.model.config;
  const n_pos = lastPosition(readers) + 1;
  const parts = readers.map(({ constant }) => new Float32Array(list.n_sources * constant.length));
  const reaching = Array.from({ length: list.n_sources }, (_, source) => source).filter((source) =>
    reaches(prompt, source, layer, n_pos),
  );
  const reads = [...new Set(readers.flatMap(({ positions }) => positions))];
  for (const batch of forwardBatches(list, reaching, n_pos, d_model)) {
    await walkForth(
      prompt,
      batch,
      { stop: layer, reads },
      {
        async residual(at, { layout, x }) {
          if (at !== layer) return;
          const sources = layout.sources();
          for (const [i, { positions, vectors }] of readers.entries())
            for (const [j, position] of positions.entries())
              addRows(parts[i]!, sources, await productsAt(x, layout.rowsAt(position), vectors[j]!), d_head);
        },
      },
    );
  }
  return parts;
}

/** Of some rows of x [n, d_model] with vectors [d_head, d_model], row by row. */
async function productsAt(x: Tensor2D, rows: Int32Array, vectors: Tensor2D): Promise<Float32Array> {
  if (rows.length === 0) return new Float32Array(0);
  const products = tf.tidy(() => tf.matMul(tf.gather(x, tf.tensor1d(rows, 'int32')), vectors, false, true));
  try {
    return await products.data<'float32'>();
  } finally {
    products.dispose();
  }
}

/** Adds rows of the first sources to theirs. */
function addRows(sums: HeadParts, sources: Int32Array, rows: Float32Array, d_head: number): void {
  for (let i = 0; i * d_head < rows.length; i++) {
    const to = sources[i]! * d_head;
    for (let j = 0; j < d_head; j++) sums[to + j]! += rows[i * d_head + j]!;
  }
}

/** Whether a source can be something at hook_resid_pre of a layer, at a position before `n_pos`. */
function reaches({ list }: TracedPrompt, source: number, layer: number, n_pos: number): boolean {
  return firstLayer(list, source) < layer && firstPosition(list, source) < n_pos;
}

/** Rows times layers times positions of either walk. */
function forthIsCheaper(prompt: TracedPrompt, layer: number, readers: readonly HeadReaders[]): boolean {
  const { list } = prompt;
  const n_pos = lastPosition(readers) + 1;
  let back = 0;
  for (const { positions, constant } of readers) back += constant.length * layer * (positions.at(-1)! + 1);
  let forth = 0;
  for (let source = 0; source < list.n_sources; source++) {
    if (!reaches(prompt, source, layer, n_pos)) continue;
    forth += (layer - 1 - firstLayer(list, source)) * (n_pos - firstPosition(list, source));
  }
  return forth < back;
}

function lastPosition(readers: readonly HeadReaders[]): number {
  return readers.reduce((last, { positions }) => Math.max(last, positions.at(-1)!), 0);
}

/** [rows, columns] to [columns, rows]. */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = values[row * columns + column]!;
  return result;
}
