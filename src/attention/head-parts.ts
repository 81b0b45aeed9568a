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
  const { d_model } = replacement.model.config;
  const n_pos = lastPosition(readers) + 1;
  const parts = readers.map(({ constant }) => new Float32Array(list.n_sources * constant.length));
  const reaching = Array.from({ length: list.n_sources }, (_, source) => source).filter((source) =>
    reaches(prompt, source, layer, n_pos),
  );
  const reads = [...new Set(readers.flatMap(({ positions }) => positions))];
  for (const batch of forwardBatches(list, reaching, n_pos, d_model)) {
    await walkForth(prompt, batch, { stop: layer, n_pos, reads }, async (at, { x }) => {
      if (at !== layer) return;
      for (const [i, reader] of readers.entries()) {
        const read = tf.tidy(() => {
          const [, n] = x.shape;
          const products = reader.positions.flatMap((position, j) => {
            const place = position - batch.firstPosition;
            if (place < 0) return [];
            const own = tf.reshape<tf.Rank.R2>(tf.slice(x, [place, 0, 0], [1, n, d_model]), [n, d_model]);
            return [tf.matMul<Tensor2D>(own, reader.vectors[j]!, false, true)];
          });
          // One by one: a shader of WebGPU takes few tensors at a time.
          return products.length === 0
            ? tf.zeros<tf.Rank.R2>([0, 0])
            : products.reduce((sum, product) => tf.add(sum, product));
        });
        const values = await read.data<'float32'>();
        read.dispose();
        const d_head = reader.constant.length;
        for (let row = 0; row * d_head < values.length; row++)
          parts[i]!.set(values.subarray(row * d_head, (row + 1) * d_head), batch.sources[row]! * d_head);
      }
    });
  }
  return parts;
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
