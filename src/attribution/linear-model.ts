/**
 * Attribution, step 2 of 4: the model made linear, of a session's folded weights and a prompt's frozen pass. Patterns and
 * divisors are those of the pass, MLP outputs are constant except for skips (`gradientFlow`), so that each part of a layer is a
 * linear map of what it reads; here are those maps, one at a time.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor1D, Tensor2D, Tensor3D } from '../backend/backend.ts';
import { blockHook } from '../model/hooks.ts';
import { rmsNorm } from '../model/norm.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { AttentionMap } from './attention-map.ts';
import type { FrozenPass } from './frozen-pass.ts';

/** Keeps nothing itself: what a map needs is acquired with it. */
export class LinearModel {
  readonly d_model: number;
  private readonly replacement: ReplacementModel;
  private readonly pass: FrozenPass;

  constructor(replacement: ReplacementModel, pass: FrozenPass) {
    this.d_model = replacement.model.config.d_model;
    this.replacement = replacement;
    this.pass = pass;
  }

  /** From vectors [n, d_model] at the output of the final norm to gradients at the last hook_resid_post, last position. */
  fromFinalNorm(vectors: Tensor2D): Tensor2D {
    const { weights, config } = this.replacement.model;
    const divisors = this.pass.activations.get<Tensor2D>('ln_final.hook_scale');
    return tf.tidy(() =>
      tf.div<Tensor2D>(
        rmsNorm(weights.ln_final, config.eps).linearTransposed(vectors),
        tf.slice(divisors, [this.pass.n_pos - 1, 0], [1, 1]),
      ),
    );
  }

  /** From encoder rows [n, d_model] at the feature input of `layer` to gradients at its hook_resid_mid. */
  fromFeatureInput(layer: number, rows: Tensor2D, positions: Int32Array): Tensor2D {
    return tf.tidy(() => {
      const scale = this.inputScale(layer);
      if (!scale) return rows.clone();
      return tf.mul<Tensor2D>(rows, tf.reshape(tf.gather(scale, tf.tensor1d(positions, 'int32')), [-1, 1]));
    });
  }

  /** The attention of a layer, from hook_resid_pre to hook_resid_mid. Dispose it after use. */
  async attention(layer: number): Promise<AttentionMap> {
    const pattern = this.pass.patterns[layer]!.acquire();
    try {
      return new AttentionMap(await this.replacement.folded.attention(layer), pattern);
    } catch (error) {
      pattern[Symbol.dispose]();
      throw error;
    }
  }

  /** The skip of a layer, from hook_resid_mid to the output of its MLP; null without one. Dispose it after use. */
  async skip(layer: number): Promise<SkipMap | null> {
    const W_skip = await this.replacement.transcoders.acquireSkip(layer);
    return W_skip && new SkipMap(W_skip, () => this.inputScale(layer));
  }

  /** 1 / ln2 divisor, [pos], where features read the normalised residual; null where they read the residual itself. */
  private inputScale(layer: number): Tensor1D | null {
    if (this.replacement.transcoders.config.feature_input_hook !== 'ln2.hook_normalized') return null;
    const divisors = this.pass.activations.get<Tensor2D>(blockHook(layer, 'ln2.hook_scale'));
    return tf.reshape<tf.Rank.R1>(tf.reciprocal(divisors), [-1]);
  }
}

/** What of an MLP is not constant: the skip of its transcoder. Dispose it after use. */
export class SkipMap implements Disposable {
  private readonly W_skip: HeldWeight;
  private readonly inputScale: () => Tensor1D | null;

  /** Takes over `W_skip`; `inputScale` is called inside a tidy. */
  constructor(W_skip: HeldWeight, inputScale: () => Tensor1D | null) {
    this.W_skip = W_skip;
    this.inputScale = inputScale;
  }

  /** From gradients at the MLP's output to gradients at hook_resid_mid, [pos, n, d_model] both. */
  back(g: Tensor3D): Tensor3D {
    return tf.tidy(() => {
      const [n_pos, n, d_model] = g.shape;
      const skipped = tf.reshape<tf.Rank.R3>(
        this.W_skip.matMul(tf.reshape(g, [n_pos * n, d_model])),
        g.shape,
      );
      const scale = this.inputScale();
      if (!scale) return skipped;
      return tf.mul<Tensor3D>(skipped, tf.reshape(tf.slice1d(scale, 0, n_pos), [n_pos, 1, 1]));
    });
  }

  /** As `back`, for gradients [n, d_model] at one position. */
  backAt(position: number, g: Tensor2D): Tensor2D {
    return tf.tidy(() => {
      const skipped = this.W_skip.matMul(g);
      const scale = this.inputScale();
      return scale ? tf.mul<Tensor2D>(skipped, tf.slice1d(scale, position, 1)) : skipped;
    });
  }

  [Symbol.dispose](): void {
    this.W_skip[Symbol.dispose]();
  }
}
