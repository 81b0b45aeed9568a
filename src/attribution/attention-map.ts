/** Attribution: attention of one layer as a linear map, backwards for gradients and forwards for what tokens write. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { Loan } from '../backend/recomputable.ts';
import type { FoldedAttention } from '../replacement/folded-weights.ts';
import type { DividedPattern } from './frozen-pass.ts';

/**
 * From hook_resid_pre to what attention adds at hook_resid_mid. Norms are folded into the weights and their divisors into the
 * pattern, so that a step consists of two products with parameters and one with the pattern. Dispose it after use.
 */
export class AttentionMap implements Disposable {
  private readonly weights: FoldedAttention;
  private readonly pattern: Loan<DividedPattern>;
  readonly d_model: number;
  readonly n_kv_heads: number;
  /** Query heads of one key/value head. */
  private readonly group: number;
  readonly d_head: number;
  private byHead: Tensor3D | undefined;

  /** Takes over both. */
  constructor(weights: FoldedAttention, pattern: Loan<DividedPattern>) {
    this.weights = weights;
    this.pattern = pattern;
    [this.n_kv_heads, , this.group] = pattern.value.shape;
    this.d_model = weights.W_O.shape[0];
    this.d_head = weights.W_O.shape[1] / (this.n_kv_heads * this.group);
  }

  /** From gradients at what attention adds to gradients at hook_resid_pre, [pos, n, d_model] both. */
  back(g: Tensor3D): Tensor3D {
    return tf.tidy(() => this.backFrom(this.queriesAt(g)));
  }

  /** As `back`, of gradients z [pos, n, n_heads · d_head] at what heads take, which `queriesAt` gives. */
  backFrom(z: Tensor3D): Tensor3D {
    return tf.tidy(() => this.fromValues(this.toValues(z)));
  }

  /** As `back`, for gradients g [n, d_model] that are at one position each. The result is [n_pos, n, d_model]. */
  backAt(positions: Int32Array, n_pos: number, g: Tensor2D): Tensor3D {
    return tf.tidy(() => this.backFromAt(positions, n_pos, this.queries(g)));
  }

  /** As `backFrom`, of z [n, n_heads · d_head] at one position each, which `queries` gives. */
  backFromAt(positions: Int32Array, n_pos: number, z: Tensor2D): Tensor3D {
    return tf.tidy(() => this.fromValues(this.toValuesAt(positions, n_pos, z)));
  }

  /** What each of x [q + 1, d_model], at hook_resid_pre of its position, adds at position `q`: [q + 1, d_model]. */
  addedAt(q: number, x: Tensor2D): Tensor2D {
    const { n_kv_heads, group, d_head } = this;
    const { W_O, W_V } = this.weights;
    const n = q + 1;
    return tf.tidy(() => {
      const values = tf.reshape(W_V.matMul(x, { transpose: true }), [n, n_kv_heads, 1, d_head]);
      const shares = tf.slice(this.pattern.value, [0, q, 0, 0], [n_kv_heads, 1, group, n]);
      const z = tf.mul(tf.transpose(shares, [3, 0, 2, 1]), values);
      return W_O.matMul(tf.reshape<tf.Rank.R2>(z, [n, n_kv_heads * group * d_head]), { transpose: true });
    });
  }

  /** Values of rows x [n, d_model] at hook_resid_pre, without the divisor of ln1: [n, n_kv_heads · d_head]. */
  values(x: Tensor2D): Tensor2D {
    return tf.tidy(() => this.weights.W_V.matMul(x, { transpose: true }));
  }

  /**
   * What heads take of values [n, pos, n_kv_heads · d_head] at consecutive positions from `first` on, [n, pos, n_heads · d_head];
   * nothing is before them.
   */
  mixed(values: Tensor3D, first = 0): Tensor3D {
    const { n_kv_heads, group, d_head } = this;
    const [n, n_pos] = values.shape;
    return tf.tidy(() => {
      const byHead = tf.transpose(tf.reshape(values, [n, n_pos, n_kv_heads, d_head]), [2, 1, 0, 3]);
      const shares = tf.reshape<tf.Rank.R3>(
        tf.slice(this.pattern.value, [0, first, 0, first], [n_kv_heads, n_pos, group, n_pos]),
        [n_kv_heads, n_pos * group, n_pos],
      );
      const z = tf.matMul(shares, tf.reshape<tf.Rank.R3>(byHead, [n_kv_heads, n_pos, n * d_head]));
      const bySource = tf.transpose(tf.reshape(z, [n_kv_heads, n_pos, group, n, d_head]), [3, 1, 0, 2, 4]);
      return tf.reshape<tf.Rank.R3>(bySource, [n, n_pos, n_kv_heads * group * d_head]);
    });
  }

  /** What attention adds at hook_resid_mid, of what heads took, [n, n_heads · d_head]: [n, d_model]. */
  output(z: Tensor2D): Tensor2D {
    return tf.tidy(() => this.weights.W_O.matMul(z, { transpose: true }));
  }

  /** Gradients at what heads take, without the divisor of ln1_post, of rows g [n, d_model] at hook_attn_out: [n, n_heads · d_head]. */
  queries(g: Tensor2D): Tensor2D {
    return tf.tidy(() => this.weights.W_O.matMul(g));
  }

  /** As `queries`, of rows g [pos, n, d_model]: [pos, n, n_heads · d_head]. */
  queriesAt(g: Tensor3D): Tensor3D {
    const [n_pos, n, d_model] = g.shape;
    return tf.tidy(() => {
      const z = this.weights.W_O.matMul(tf.reshape<tf.Rank.R2>(g, [n_pos * n, d_model]));
      return tf.reshape<tf.Rank.R3>(z, [n_pos, n, z.shape[1]]);
    });
  }

  get n_heads(): number {
    return this.n_kv_heads * this.group;
  }

  /** Pattern divided by the divisors of ln1_post of the query and ln1 of the key; it stays the map's. */
  get dividedPattern(): DividedPattern {
    return this.pattern.value;
  }

  /** The divided pattern, [n_heads, query, key]; it stays the map's. */
  patternByHead(): Tensor3D {
    this.byHead ??= tf.tidy(() => {
      const { n_heads } = this;
      const [, n_pos] = this.pattern.value.shape;
      const byHead = tf.transpose(this.pattern.value, [0, 2, 1, 3]);
      return tf.keep(tf.reshape<tf.Rank.R3>(byHead, [n_heads, n_pos, n_pos]));
    });
    return this.byHead;
  }

  /** Gradients at the values of the heads, [pos, n, n_kv_heads · d_head]. */
  private toValues(z: Tensor3D): Tensor3D {
    const { n_kv_heads, group, d_head } = this;
    const [n_pos, n] = z.shape;
    return tf.tidy(() => {
      const byHead = tf.transpose(tf.reshape(z, [n_pos, n, n_kv_heads, group, d_head]), [2, 0, 3, 1, 4]);
      const queries = tf.reshape<tf.Rank.R3>(byHead, [n_kv_heads, n_pos * group, n * d_head]);
      const shares = tf.reshape<tf.Rank.R3>(
        tf.slice(this.pattern.value, [0, 0, 0, 0], [n_kv_heads, n_pos, group, n_pos]),
        [n_kv_heads, n_pos * group, n_pos],
      );
      const values = tf.matMul(shares, queries, true); // [n_kv_heads, k_pos, n · d_head]
      const byPosition = tf.transpose(tf.reshape(values, [n_kv_heads, n_pos, n, d_head]), [1, 2, 0, 3]);
      return tf.reshape<tf.Rank.R3>(byPosition, [n_pos, n, n_kv_heads * d_head]);
    });
  }

  private toValuesAt(positions: Int32Array, n_pos: number, z: Tensor2D): Tensor3D {
    const { n_kv_heads, group, d_head } = this;
    const n = z.shape[0];
    return tf.tidy(() => {
      const split = tf.reshape(z, [n, n_kv_heads, group, d_head]);
      const queries = tf.reshape<tf.Rank.R3>(tf.transpose(split, [1, 0, 2, 3]), [
        n_kv_heads * n,
        group,
        d_head,
      ]);
      const rows = tf.gather(
        tf.slice(this.pattern.value, [0, 0, 0, 0], [n_kv_heads, -1, group, n_pos]),
        tf.tensor1d(positions, 'int32'),
        1,
      ); // [n_kv_heads, n, group, k_pos]
      const shares = tf.reshape<tf.Rank.R3>(rows, [n_kv_heads * n, group, n_pos]);
      const values = tf.matMul(shares, queries, true); // [n_kv_heads · n, k_pos, d_head]
      const byPosition = tf.transpose(tf.reshape(values, [n_kv_heads, n, n_pos, d_head]), [2, 1, 0, 3]);
      return tf.reshape<tf.Rank.R3>(byPosition, [n_pos, n, n_kv_heads * d_head]);
    });
  }

  private fromValues(values: Tensor3D): Tensor3D {
    const [n_pos, n, width] = values.shape;
    const product = this.weights.W_V.matMul(tf.reshape<tf.Rank.R2>(values, [n_pos * n, width]));
    return tf.reshape<tf.Rank.R3>(product, [n_pos, n, this.d_model]);
  }

  [Symbol.dispose](): void {
    this.byHead?.dispose();
    this.weights[Symbol.dispose]();
    this.pattern[Symbol.dispose]();
  }
}
