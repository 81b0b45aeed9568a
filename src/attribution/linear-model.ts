/**
 * Attribution, step 2 of 4: the model made linear. Patterns and norm divisors are those of one pass, MLP outputs are
 * constant except for skips (`gradientFlow`), so what is left of a layer is a linear map; here are its steps backwards.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Arithmetic, HeldWeight, Tensor1D, Tensor2D, Tensor3D, Weight } from '../backend/backend.ts';
import { blockHook } from '../model/hooks.ts';
import type { ForwardResult } from '../model/transformer.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';

/**
 * Attention of one layer as a linear map, backwards. Norm gains are folded into the weights and norm divisors into the
 * pattern, so that a step consists of two products with parameters and one with the pattern.
 */
interface LinearLayer {
  /** ln1_post gain ∘ W_O, [d_model, n_heads · d_head]. */
  readonly W_O: Projection;
  /** W_V ∘ ln1 gain, [n_kv_heads · d_head, d_model]. */
  readonly W_V: Projection;
  /** [n_kv_heads, q_pos, group, k_pos]: pattern / (ln1_post divisor of q · ln1 divisor of k). */
  readonly pattern: tf.Tensor4D;
  /** 1 / ln2 divisor, [pos], where features read the normalised residual; null where they read the residual itself. */
  readonly inputScale: tf.Tensor1D | null;
  readonly W_skip: HeldWeight | null;
}

/** A parameter with a norm's gain folded into it. */
interface Projection extends Disposable {
  readonly shape: readonly [number, number];
  /** x · W, or x · Wᵀ with `transpose`. */
  matMul(x: Tensor2D, transpose?: boolean): Tensor2D;
}

export class LinearModel implements Disposable {
  readonly n_layers: number;
  readonly d_model: number;
  private readonly layers: readonly LinearLayer[];

  private constructor(replacement: ReplacementModel, layers: readonly LinearLayer[]) {
    this.n_layers = replacement.model.config.n_layers;
    this.d_model = replacement.model.config.d_model;
    this.layers = layers;
  }

  /**
   * Freezes the model at a pass whose patterns and divisors were captured. With bfloat16, products with parameters are
   * those of the backend's arithmetic; edges are float32 either way.
   */
  static async freeze(
    replacement: ReplacementModel,
    forward: ForwardResult,
    arithmetic: Arithmetic = 'float32',
  ): Promise<LinearModel> {
    const layers: LinearLayer[] = [];
    try {
      for (let layer = 0; layer < replacement.model.config.n_layers; layer++) {
        layers.push(await freezeLayer(replacement, forward, layer, arithmetic));
      }
      return new LinearModel(replacement, layers);
    } catch (error) {
      disposeLayers(layers);
      throw error;
    }
  }

  /** From encoder rows [n, d_model] at the feature input of `layer` to gradients at its hook_resid_mid. */
  fromFeatureInput(layer: number, rows: Tensor2D, positions: Int32Array): Tensor2D {
    const { inputScale } = this.layers[layer]!;
    if (!inputScale) return rows.clone();
    return tf.tidy(() =>
      tf.mul<Tensor2D>(rows, tf.reshape(tf.gather(inputScale, tf.tensor1d(positions, 'int32')), [-1, 1])),
    );
  }

  /** Across the MLP of a layer, from hook_resid_post to hook_resid_mid, [pos, n, d_model]. */
  throughMlp(layer: number, g: Tensor3D): Tensor3D {
    const { W_skip, inputScale } = this.layers[layer]!;
    if (!W_skip) return g.clone();
    return tf.tidy(() => {
      const [n_pos, n, d_model] = g.shape;
      const skipped = tf.reshape<tf.Rank.R3>(W_skip.matMul(tf.reshape(g, [n_pos * n, d_model])), g.shape);
      if (!inputScale) return tf.add<Tensor3D>(g, skipped);
      const scale = tf.reshape(tf.slice1d(inputScale, 0, n_pos), [n_pos, 1, 1]);
      return tf.add<Tensor3D>(g, tf.mul(skipped, scale));
    });
  }

  /** As `throughMlp`, for gradients [n, d_model] at one position only. */
  throughMlpAt(layer: number, position: number, g: Tensor2D): Tensor2D {
    const { W_skip, inputScale } = this.layers[layer]!;
    if (!W_skip) return g.clone();
    return tf.tidy(() => {
      const skipped = W_skip.matMul(g);
      return tf.add<Tensor2D>(g, inputScale ? tf.mul(skipped, tf.slice1d(inputScale, position, 1)) : skipped);
    });
  }

  /** Across the attention of a layer, from hook_resid_mid to hook_resid_pre, [pos, n, d_model]. */
  throughAttention(layer: number, g: Tensor3D): Tensor3D {
    return tf.tidy(() => tf.add<Tensor3D>(g, this.fromValues(layer, this.toValues(layer, g))));
  }

  /**
   * As `throughAttention`, for gradients that are at one position each: g [n, d_model] at `positions`. The result has
   * `n_pos` positions, [n_pos, n, d_model].
   */
  throughAttentionAt(layer: number, positions: Int32Array, n_pos: number, g: Tensor2D): Tensor3D {
    return tf.tidy(() => {
      const moved = this.fromValues(layer, this.toValuesAt(layer, positions, n_pos, g));
      return tf.add<Tensor3D>(moved, atPositions(positions, n_pos, g));
    });
  }

  /** Gradients at the values of the heads, [pos, n, n_kv_heads · d_head]. */
  toValues(layer: number, g: Tensor3D): Tensor3D {
    const { W_O, pattern } = this.layers[layer]!;
    const [n_pos, n, d_model] = g.shape;
    const [n_kv_heads, , group] = pattern.shape;
    const d_head = W_O.shape[1] / (n_kv_heads * group);
    return tf.tidy(() => {
      const z = W_O.matMul(tf.reshape<tf.Rank.R2>(g, [n_pos * n, d_model]));
      const byHead = tf.transpose(tf.reshape(z, [n_pos, n, n_kv_heads, group, d_head]), [2, 0, 3, 1, 4]);
      const queries = tf.reshape<tf.Rank.R3>(byHead, [n_kv_heads, n_pos * group, n * d_head]);
      const weights = tf.reshape<tf.Rank.R3>(
        tf.slice(pattern, [0, 0, 0, 0], [n_kv_heads, n_pos, group, n_pos]),
        [n_kv_heads, n_pos * group, n_pos],
      );
      const values = tf.matMul(weights, queries, true); // [n_kv_heads, k_pos, n · d_head]
      const byPosition = tf.transpose(tf.reshape(values, [n_kv_heads, n_pos, n, d_head]), [1, 2, 0, 3]);
      return tf.reshape<tf.Rank.R3>(byPosition, [n_pos, n, n_kv_heads * d_head]);
    });
  }

  private toValuesAt(layer: number, positions: Int32Array, n_pos: number, g: Tensor2D): Tensor3D {
    const { W_O, pattern } = this.layers[layer]!;
    const n = g.shape[0];
    const [n_kv_heads, , group] = pattern.shape;
    const d_head = W_O.shape[1] / (n_kv_heads * group);
    return tf.tidy(() => {
      const z = tf.reshape(W_O.matMul(g), [n, n_kv_heads, group, d_head]);
      const queries = tf.reshape<tf.Rank.R3>(tf.transpose(z, [1, 0, 2, 3]), [n_kv_heads * n, group, d_head]);
      const rows = tf.gather(
        tf.slice(pattern, [0, 0, 0, 0], [n_kv_heads, -1, group, n_pos]),
        tf.tensor1d(positions, 'int32'),
        1,
      ); // [n_kv_heads, n, group, k_pos]
      const weights = tf.reshape<tf.Rank.R3>(rows, [n_kv_heads * n, group, n_pos]);
      const values = tf.matMul(weights, queries, true); // [n_kv_heads · n, k_pos, d_head]
      const byPosition = tf.transpose(tf.reshape(values, [n_kv_heads, n, n_pos, d_head]), [2, 1, 0, 3]);
      return tf.reshape<tf.Rank.R3>(byPosition, [n_pos, n, n_kv_heads * d_head]);
    });
  }

  private fromValues(layer: number, values: Tensor3D): Tensor3D {
    const { W_V } = this.layers[layer]!;
    const [n_pos, n, width] = values.shape;
    const product = W_V.matMul(tf.reshape<tf.Rank.R2>(values, [n_pos * n, width]));
    return tf.reshape<tf.Rank.R3>(product, [n_pos, n, this.d_model]);
  }

  /**
   * What tokens write into hook_resid_mid of layer 0 at position `q`, directly and through its attention: one row for each
   * token up to q, [q + 1, d_model], of token vectors [pos, d_model].
   */
  writtenByTokens(q: number, tokenVectors: Tensor2D): Tensor2D {
    const { W_O, W_V, pattern } = this.layers[0]!;
    const [n_kv_heads, , group] = pattern.shape;
    const d_head = W_O.shape[1] / (n_kv_heads * group);
    const n = q + 1;
    return tf.tidy(() => {
      const seen = tf.slice<tf.Rank.R2, Tensor2D>(tokenVectors, [0, 0], [n, this.d_model]);
      const values = tf.reshape(W_V.matMul(seen, true), [n, n_kv_heads, 1, d_head]);
      const weights = tf.transpose(tf.slice(pattern, [0, q, 0, 0], [n_kv_heads, 1, group, n]), [3, 0, 2, 1]);
      const z = tf.reshape<tf.Rank.R2>(tf.mul(weights, values), [n, n_kv_heads * group * d_head]);
      const attended = W_O.matMul(z, true); // [n, d_model]
      const own = tf.pad2d(tf.slice(tokenVectors, [q, 0], [1, this.d_model]), [
        [q, 0],
        [0, 0],
      ]);
      return tf.add<Tensor2D>(attended, own);
    });
  }

  [Symbol.dispose](): void {
    disposeLayers(this.layers);
  }
}

/** g [n, d_model] put at its positions among zeros, [n_pos, n, d_model]. */
function atPositions(positions: Int32Array, n_pos: number, g: Tensor2D): Tensor3D {
  const place = new Float32Array(n_pos * positions.length);
  positions.forEach((position, i) => (place[position * positions.length + i] = 1));
  return tf.mul<Tensor3D>(tf.tensor3d(place, [n_pos, positions.length, 1]), tf.expandDims(g, 0));
}

async function freezeLayer(
  { model, transcoders }: ReplacementModel,
  { activations }: ForwardResult,
  layer: number,
  arithmetic: Arithmetic,
): Promise<LinearLayer> {
  const { n_kv_heads, n_heads } = model.config;
  const block = model.weights.blocks[layer]!;
  const W_O = await foldGain(block.W_O, block.ln1_post, 'rows', arithmetic);
  const W_V = await foldGain(block.W_V, block.ln1, 'columns', arithmetic);
  const W_skip = await transcoders.acquireSkip(layer);
  const scale = (norm: 'ln1' | 'ln1_post' | 'ln2'): Tensor2D =>
    activations.get(blockHook(layer, `${norm}.hook_scale`));
  const pattern = tf.tidy(() => {
    const captured = activations.get<Tensor3D>(blockHook(layer, 'attn.hook_pattern'));
    const n_pos = captured.shape[1];
    const divided = tf.div(
      tf.div(captured, tf.reshape(scale('ln1_post'), [1, n_pos, 1])),
      tf.reshape(scale('ln1'), [1, 1, n_pos]),
    );
    const grouped = tf.reshape<tf.Rank.R4>(divided, [n_kv_heads, n_heads / n_kv_heads, n_pos, n_pos]);
    return tf.transpose<tf.Tensor4D>(grouped, [0, 2, 1, 3]);
  });
  const inputScale =
    transcoders.config.feature_input_hook === 'ln2.hook_normalized'
      ? tf.tidy(() => tf.reshape<tf.Rank.R1>(tf.reciprocal(scale('ln2')), [-1]))
      : null;
  return { W_O, W_V, pattern, inputScale, W_skip };
}

/**
 * A weight with a gain on its rows or columns. In float32 both are multiplied once and kept widened, 28 MB a layer of
 * Gemma-2-2B; in bfloat16 the weight stays as it is stored and the gain is applied beside it.
 */
async function foldGain(
  weight: Weight,
  gain: Tensor1D,
  side: 'rows' | 'columns',
  arithmetic: Arithmetic,
): Promise<Projection> {
  if (arithmetic === 'bfloat16') {
    const held = await weight.acquire();
    return {
      shape: held.shape,
      matMul: (x, transpose = false) =>
        // The gain stands before the product where x meets it, behind it otherwise.
        (side === 'rows') === transpose
          ? tf.mul<Tensor2D>(held.matMul(x, { transpose }), gain)
          : held.matMul(tf.mul<Tensor2D>(x, gain), { transpose }),
      [Symbol.dispose]: () => held[Symbol.dispose](),
    };
  }
  const wide = await weight.rows(Int32Array.from({ length: weight.shape[0] }, (_, i) => i));
  const folded = tf.tidy(() => tf.mul<Tensor2D>(wide, side === 'rows' ? tf.reshape(gain, [-1, 1]) : gain));
  wide.dispose();
  return {
    shape: folded.shape,
    matMul: (x, transpose = false) => tf.matMul(x, folded, false, transpose),
    [Symbol.dispose]: () => folded.dispose(),
  };
}

function disposeLayers(layers: readonly LinearLayer[]): void {
  for (const { W_O, W_V, pattern, inputScale, W_skip } of layers) {
    W_O[Symbol.dispose]();
    W_V[Symbol.dispose]();
    pattern.dispose();
    inputScale?.dispose();
    W_skip?.[Symbol.dispose]();
  }
}
