/**
 * Attribution: what tokens write into hook_resid_mid of layer 0. Below the first attention there are only the tokens, so that
 * taking these few forwards through it is cheaper than taking every row backwards.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { Recomputable } from '../backend/recomputable.ts';
import type { MemoryBudget } from '../backend/budget.ts';
import type { RowColumns } from '../graph/row-columns.ts';
import type { FrozenPass } from './frozen-pass.ts';
import type { LinearModel } from './linear-model.ts';
import type { SourceBlock } from './sources.ts';

const FLOAT32_BYTES = 4;

/** There are n_pos² / 2 vectors; up to this size they are made. */
const LARGEST_BYTES = 256 * 1024 * 1024;

interface Vectors extends Disposable {
  /** By position: a vector for each token up to it, [position + 1, d_model]. */
  readonly at: readonly Tensor2D[];
}

/** Dispose it, or take it with `using`. */
export class TokenSources implements Disposable {
  private readonly vectors: Recomputable<Vectors>;

  private constructor(vectors: Recomputable<Vectors>) {
    this.vectors = vectors;
  }

  /**
   * Null where they would be too large, which depends on the prompt's length alone, and in a model of parallel blocks, whose first
   * MLP does not read what the first attention adds: then rows are taken backwards.
   */
  static of(
    linear: LinearModel,
    pass: FrozenPass,
    budget: MemoryBudget,
    largestBytes = LARGEST_BYTES,
  ): TokenSources | null {
    const { n_pos } = pass;
    const bytes = ((n_pos * (n_pos + 1)) / 2) * linear.d_model * FLOAT32_BYTES;
    if (bytes > largestBytes || linear.isParallel) return null;
    return new TokenSources(new Recomputable(budget, bytes, () => compute(linear, pass)));
  }

  /** Dispose it after use. */
  async acquire(columns: RowColumns): Promise<SourceBlock> {
    const loan = await this.vectors.acquire();
    const { at } = loan.value;
    const tokens = Int32Array.from(at, (_, position) => columns.tokenColumn(position));
    return {
      firstPosition: 0,
      at: at.map((vectors, position) => ({ vectors, columns: tokens.subarray(0, position + 1) })),
      [Symbol.dispose]: () => loan[Symbol.dispose](),
    };
  }

  [Symbol.dispose](): void {
    this.vectors[Symbol.dispose]();
  }
}

async function compute(linear: LinearModel, { n_pos, tokenVectors }: FrozenPass): Promise<Vectors> {
  using attention = await linear.attention(0);
  const { d_model } = linear;
  const at = Array.from({ length: n_pos }, (_, q) =>
    tf.tidy(() => {
      const seen = tf.slice<tf.Rank.R2, Tensor2D>(tokenVectors, [0, 0], [q + 1, d_model]);
      const itself = tf.pad2d(tf.slice(tokenVectors, [q, 0], [1, d_model]), [
        [q, 0],
        [0, 0],
      ]);
      return tf.add<Tensor2D>(attention.addedAt(q, seen), itself);
    }),
  );
  return { at, [Symbol.dispose]: () => at.forEach((vectors) => vectors.dispose()) };
}
