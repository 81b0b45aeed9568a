/** Attention: what each source is to readers of a residual stream, by a walk back: rows [n, n_sources]. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import { RowSums } from '../attribution/row-sums.ts';
import { atPositions, startBelowPost, walkBack, type WalkVisitor } from '../attribution/walk.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** Gradients of a batch stay below this; about five such tensors are in memory at a time. */
const LARGEST_GRADIENT_BYTES = 128 * 1024 * 1024;
const FLOAT32_BYTES = 4;

/** Rows that read hook_resid_pre of a layer: a vector at one position, or at several. */
export interface Readers {
  /** Positions read, ascending. */
  readonly positions: readonly number[];
  /** For each of the positions, [n, d_model]. They stay the caller's. */
  readonly vectors: readonly Tensor2D[];
}

/** Products of each source's part of hook_resid_pre of `layer` with the readers, [n, n_sources]. Rows go in batches. */
export async function rowsOfReaders(
  prompt: TracedPrompt,
  layer: number,
  readers: Readers,
): Promise<Float32Array> {
  const n_pos = readers.positions.at(-1)! + 1;
  const [n, d_model] = readers.vectors[0]!.shape;
  const most = Math.max(1, Math.floor(LARGEST_GRADIENT_BYTES / (n_pos * d_model * FLOAT32_BYTES)));
  const parts = Math.ceil(n / most);
  if (parts === 1) return await rowsOfBatch(prompt, layer, n_pos, readers);
  const rows = new Float32Array(n * prompt.list.n_sources);
  for (let part = 0; part < parts; part++) {
    const start = Math.round((part * n) / parts);
    const stop = Math.round(((part + 1) * n) / parts);
    const vectors = readers.vectors.map((all) =>
      tf.slice<tf.Rank.R2, Tensor2D>(all, [start, 0], [stop - start, d_model]),
    );
    try {
      rows.set(
        await rowsOfBatch(prompt, layer, n_pos, { positions: readers.positions, vectors }),
        start * prompt.list.n_sources,
      );
    } finally {
      for (const one of vectors) one.dispose();
    }
  }
  return rows;
}

async function rowsOfBatch(
  prompt: TracedPrompt,
  layer: number,
  n_pos: number,
  { positions, vectors }: Readers,
): Promise<Float32Array> {
  const { linear, sources, list, replacement, signal } = prompt;
  const [n, d_model] = vectors[0]!.shape;
  using rows = new RowSums(replacement.backend, n, list);
  const walk = { linear, n_pos, signal };
  const visitor = addingVisitor(prompt, n_pos, rows);
  const [position] = positions;
  if (layer > 0 && positions.length === 1) {
    const below = layer - 1;
    const start = await startBelowPost(linear, below, position!, vectors[0]!.clone(), async (output) => {
      for await (const { firstPosition, at } of sources.blocks(below, position!, position! + 1)) {
        await rows.addDotsAt(at[position! - firstPosition]!, output, 0);
      }
      const g = atPositions(
        Int32Array.from({ length: n }, () => position!),
        n_pos,
        output,
      );
      try {
        await addWritten(prompt, below, g, rows);
      } finally {
        g.dispose();
      }
    });
    await walkBack(walk, [start], visitor);
    return await rows.values();
  }
  const g = tf.tidy(() => {
    const places = new Map(positions.map((each, i) => [each, vectors[i]!]));
    const nothing = tf.zeros<tf.Rank.R2>([n, d_model]);
    return tf.stack(Array.from({ length: n_pos }, (_, each) => places.get(each) ?? nothing)) as Tensor3D;
  });
  await walkBack(walk, [], visitor, { layer: layer - 1, g });
  return await rows.values();
}

/** Adds to rows what all sources contribute on the way of a walk. */
function addingVisitor(prompt: TracedPrompt, n_pos: number, rows: RowSums): WalkVisitor {
  const { sources, list, pass } = prompt;
  return {
    async output(layer, output) {
      for await (const block of sources.blocks(layer, 0, n_pos)) await rows.addDots(block, output);
      await addWritten(prompt, layer, output, rows);
    },
    async attention(layer, g, start) {
      using constants = await prompt.constants(layer);
      const { attended } = constants;
      if (!attended) return false;
      const own = start ? atPositions(start.positions, n_pos, start.g) : undefined;
      // Of these walks all rows start together, or none does.
      const at = own ?? g!;
      try {
        await addAtFirst(rows, attended, at, list.start.bias + layer);
      } finally {
        own?.dispose();
      }
      return false;
    },
    async embedding(g) {
      await rows.addTokenDots(pass.tokenVectors, g);
      const { positionVectors } = prompt;
      if (positionVectors) await rows.addTokenDots(positionVectors, g, list.start.position);
    },
  };
}

/** Adds the pseudo-sources that write at the feature output of a layer. */
async function addWritten(
  prompt: TracedPrompt,
  layer: number,
  output: Tensor3D,
  rows: RowSums,
): Promise<void> {
  const { start } = prompt.list;
  using constants = await prompt.constants(layer);
  const { written, first } = constants;
  if (written) await addAtFirst(rows, written, output, start.bias + layer);
  if (first) await addAtFirst(rows, first, output, start.first + layer);
}

/** Adds products at the positions that both have. */
async function addAtFirst(rows: RowSums, vectors: Tensor2D, g: Tensor3D, column: number): Promise<void> {
  const n_pos = Math.min(vectors.shape[0], g.shape[0]);
  const [here, there] = [
    tf.slice<tf.Rank.R2, Tensor2D>(vectors, [0, 0], [n_pos, -1]),
    tf.slice<tf.Rank.R3, Tensor3D>(g, [0, 0, 0], [n_pos, -1, -1]),
  ];
  try {
    await rows.addSummed(here, there, column);
  } finally {
    here.dispose();
    there.dispose();
  }
}
