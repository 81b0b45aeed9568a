/**
 * Replacement: what attribution computes from parameters alone, once for all prompts of a session: W_O and W_V with the norms around
 * attention folded in, and the mean row of the unembedding.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor2D, Weight } from '../backend/backend.ts';
import type { MemoryBudget } from '../backend/budget.ts';
import { Recomputable } from '../backend/recomputable.ts';
import type { Norm } from '../model/norm.ts';
import type { Transformer } from '../model/transformer.ts';

const FLOAT32_BYTES = 4;

/** A parameter with a norm folded in, ready to be multiplied: x · W, or x · Wᵀ with `transpose`. */
export type Projection = Pick<HeldWeight, 'shape' | 'matMul'>;

/** Parameters of a layer's attention. L is the linear map of a norm (`model/norm.ts`). Dispose it after use. */
export interface FoldedAttention extends Disposable {
  /** L of ln1_post · W_O, [d_model, n_heads · d_head]. */
  readonly W_O: Projection;
  /** W_V · L of ln1, [n_kv_heads · d_head, d_model]. */
  readonly W_V: Projection;
}

type LinearNorm = Pick<Norm, 'linear' | 'linearTransposed'>;

const NO_NORM: LinearNorm = { linear: (x) => x.clone(), linearTransposed: (g) => g.clone() };

/** Belongs to a session. What its memory budget has no room for is computed again for each use, to the same numbers. */
export class FoldedWeights implements Disposable {
  private readonly model: Transformer;
  private readonly layers: readonly Recomputable<FoldedAttention>[];
  private readonly mean: Recomputable<DisposableMatrix>;

  constructor(model: Transformer, budget: MemoryBudget) {
    this.model = model;
    this.layers = model.weights.blocks.map(
      ({ matrices: { W_O, W_V } }, layer) =>
        new Recomputable(budget, wideBytes(W_O) + wideBytes(W_V), () => this.fold(layer)),
    );
    const meanBytes = model.config.d_model * FLOAT32_BYTES;
    this.mean = new Recomputable(budget, meanBytes, async () => owned(await meanRow(model.weights.W_U)));
  }

  /** Bytes kept in memory now. */
  get heldBytes(): number {
    return [...this.layers, this.mean].reduce((sum, { heldBytes }) => sum + heldBytes, 0);
  }

  /**
   * Weights that are multiplied as they are stored stay so, and norms are applied beside the product. Of others a float32 matrix
   * with its norm folded in is kept, 28 MB a layer of Gemma-2-2B.
   */
  async attention(layer: number): Promise<FoldedAttention> {
    const { W_O, W_V } = this.model.weights.blocks[layer]!.matrices;
    const asStored = W_O.isMultipliedAsStored && W_V.isMultipliedAsStored;
    return asStored ? await this.beside(layer) : await this.folded(layer);
  }

  private async folded(layer: number): Promise<FoldedAttention> {
    const loan = await this.layers[layer]!.acquire();
    const { W_O, W_V } = loan.value;
    return { W_O, W_V, [Symbol.dispose]: () => loan[Symbol.dispose]() };
  }

  /** Mean row of the unembedding over the vocabulary, [1, d_model]. Belongs to the caller. */
  async meanUnembedding(): Promise<Tensor2D> {
    using loan = await this.mean.acquire();
    return loan.value.matrix.clone();
  }

  /** The norms around attention; the identity where a block has none. */
  private norms(layer: number): { ln1: LinearNorm; ln1_post: LinearNorm } {
    const { ln1 = NO_NORM, ln1_post = NO_NORM } = this.model.weights.blocks[layer]!.norms;
    return { ln1, ln1_post };
  }

  private async fold(layer: number): Promise<FoldedAttention> {
    const { W_O, W_V } = this.model.weights.blocks[layer]!.matrices;
    const { ln1, ln1_post } = this.norms(layer);
    const output = await changed(W_O, (wide) => ln1_post.linear(wide, 0));
    try {
      const values = await changed(W_V, (wide) => ln1.linearTransposed(wide));
      return {
        W_O: projection(output),
        W_V: projection(values),
        [Symbol.dispose]() {
          output.dispose();
          values.dispose();
        },
      };
    } catch (error) {
      output.dispose();
      throw error;
    }
  }

  private async beside(layer: number): Promise<FoldedAttention> {
    const stored = this.model.weights.blocks[layer]!.matrices;
    const { ln1, ln1_post } = this.norms(layer);
    const W_O = await stored.W_O.acquire();
    try {
      const W_V = await stored.W_V.acquire();
      return {
        W_O: {
          shape: W_O.shape,
          matMul: (x, { transpose = false } = {}) =>
            transpose
              ? ln1_post.linear(W_O.matMul(x, { transpose }))
              : W_O.matMul(ln1_post.linearTransposed(x)),
        },
        W_V: {
          shape: W_V.shape,
          matMul: (x, { transpose = false } = {}) =>
            transpose ? W_V.matMul(ln1.linear(x), { transpose }) : ln1.linearTransposed(W_V.matMul(x)),
        },
        [Symbol.dispose]() {
          W_O[Symbol.dispose]();
          W_V[Symbol.dispose]();
        },
      };
    } catch (error) {
      W_O[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const one of [...this.layers, this.mean]) one[Symbol.dispose]();
  }
}

interface DisposableMatrix extends Disposable {
  readonly matrix: Tensor2D;
}

function owned(matrix: Tensor2D): DisposableMatrix {
  return { matrix, [Symbol.dispose]: () => matrix.dispose() };
}

function wideBytes({ shape: [rows, columns] }: Weight): number {
  return rows * columns * FLOAT32_BYTES;
}

/** A weight in float32, changed. */
async function changed(weight: Weight, change: (wide: Tensor2D) => Tensor2D): Promise<Tensor2D> {
  const wide = await weight.rows(Int32Array.from({ length: weight.shape[0] }, (_, i) => i));
  try {
    return tf.tidy(() => change(wide));
  } finally {
    wide.dispose();
  }
}

function projection(matrix: Tensor2D): Projection {
  return {
    shape: matrix.shape,
    matMul: (x, { transpose = false } = {}) => tf.matMul(x, matrix, false, transpose),
  };
}

async function meanRow(weight: Weight): Promise<Tensor2D> {
  const [d_vocab] = weight.shape;
  using held = await weight.acquire();
  return tf.tidy(() => held.matMul(tf.fill([1, d_vocab], 1 / d_vocab)));
}
