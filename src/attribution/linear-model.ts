/**
 * Attribution, step 2 of 4: the model made linear, of a session's folded weights and a prompt's frozen pass. Patterns and
 * divisors are those of the pass, MLP outputs are constant except for skips (`gradientFlow`), so that each part of a layer is a
 * linear map of what it reads; here are those maps, one at a time.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor2D, Tensor3D } from '../backend/backend.ts';
import { blockHook } from '../model/hooks.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { AttentionMap } from './attention-map.ts';
import type { FrozenPass } from './frozen-pass.ts';
import { NormMap } from './norm-map.ts';

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

  /** Attention and MLP of a block both read hook_resid_pre. */
  get isParallel(): boolean {
    return this.replacement.model.config.block.residual === 'parallel';
  }

  /** From vectors [n, d_model] at the output of the final norm to gradients at the last hook_resid_post, last position. */
  fromFinalNorm(vectors: Tensor2D): Tensor2D {
    const { weights } = this.replacement.model;
    const divisors = this.pass.activations.get<Tensor2D>('ln_final.hook_scale');
    return tf.tidy(() =>
      tf.div<Tensor2D>(
        weights.ln_final.linearTransposed(vectors),
        tf.slice(divisors, [this.pass.n_pos - 1, 0], [1, 1]),
      ),
    );
  }

  /**
   * From gradients at hook_resid_post [pos, n, d_model] to gradients at what features of `layer` write: through the norm behind the
   * MLP where they write before it. Belongs to the caller.
   */
  toFeatureOutput(layer: number, g: Tensor3D): Tensor3D {
    return tf.tidy(() => this.outputMap(layer).all(g));
  }

  /** As `toFeatureOutput`, for gradients [n, d_model] at one position. */
  toFeatureOutputAt(layer: number, position: number, g: Tensor2D): Tensor2D {
    return tf.tidy(() => this.outputMap(layer).at(position, g));
  }

  /** As `toFeatureOutput`, for gradients [n, d_model] that are at one position each. */
  toFeatureOutputEach(layer: number, positions: Int32Array, g: Tensor2D): Tensor2D {
    return tf.tidy(() => this.outputMap(layer).atEach(positions, g));
  }

  /** Forwards: from rows [n, d_model] at the feature output, each at its position, to what arrives at hook_resid_post. */
  writtenEach(layer: number, positions: Int32Array, x: Tensor2D): Tensor2D {
    return tf.tidy(() => this.outputMap(layer).forthEach(positions, x));
  }

  /** From encoder rows [n, d_model] at the feature input of `layer` to gradients at what its norm reads, or at hook_resid_mid. */
  fromFeatureInput(layer: number, rows: Tensor2D, positions: Int32Array): Tensor2D {
    return tf.tidy(() => this.inputMap(layer).atEach(positions, rows));
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

  /** The skip of a layer, from hook_resid_mid to what features write; null without one. Dispose it after use. */
  async skip(layer: number): Promise<SkipMap | null> {
    const W_skip = await this.replacement.transcoders.acquireSkip(layer);
    return W_skip && new SkipMap(W_skip, () => this.inputMap(layer));
  }

  /** From what features of a layer write to the residual stream. Called inside a tidy. */
  private outputMap(layer: number): NormMap {
    const norm = this.replacement.normBehind(layer);
    if (!norm) return new NormMap();
    const map = {
      forth: (x: Tensor2D) => norm.linear(x),
      back: (g: Tensor2D) => norm.linearTransposed(g),
    };
    return new NormMap(map, this.divisors(layer, 'ln2_post'));
  }

  /** From the residual stream to the feature input of a layer. Called inside a tidy. */
  private inputMap(layer: number): NormMap {
    const { feature_input_hook } = this.replacement.transcoders.config;
    const { ln2 } = this.replacement.model.weights.blocks[layer]!.norms;
    if (feature_input_hook === 'hook_resid_mid' || !ln2) return new NormMap();
    const isWhole = feature_input_hook === 'mlp.hook_in';
    const map = {
      forth: (x: Tensor2D) => (isWhole ? ln2.linear(x) : ln2.normalizedLinear(x)),
      back: (g: Tensor2D) => (isWhole ? ln2.linearTransposed(g) : ln2.normalizedTransposed(g)),
    };
    return new NormMap(map, this.divisors(layer, 'ln2'));
  }

  private divisors(layer: number, norm: 'ln2' | 'ln2_post'): Tensor2D {
    return this.pass.activations.get<Tensor2D>(blockHook(layer, `${norm}.hook_scale`));
  }
}

/** What of an MLP is not constant: the skip of its transcoder. Dispose it after use. */
export class SkipMap implements Disposable {
  private readonly W_skip: HeldWeight;
  private readonly inputMap: () => NormMap;

  /** Takes over `W_skip`; `inputMap` is called inside a tidy. */
  constructor(W_skip: HeldWeight, inputMap: () => NormMap) {
    this.W_skip = W_skip;
    this.inputMap = inputMap;
  }

  /** From gradients at the feature output to gradients at hook_resid_mid, [pos, n, d_model] both. */
  back(g: Tensor3D): Tensor3D {
    return tf.tidy(() => {
      const [n_pos, n, d_model] = g.shape;
      const skipped = this.W_skip.matMul(tf.reshape(g, [n_pos * n, d_model]));
      return this.inputMap().all(tf.reshape<tf.Rank.R3>(skipped, g.shape));
    });
  }

  /** As `back`, for gradients [n, d_model] at one position. */
  backAt(position: number, g: Tensor2D): Tensor2D {
    return tf.tidy(() => this.inputMap().at(position, this.W_skip.matMul(g)));
  }

  /** As `back`, for gradients [n, d_model] that are at one position each. */
  backEach(positions: Int32Array, g: Tensor2D): Tensor2D {
    return tf.tidy(() => this.inputMap().atEach(positions, this.W_skip.matMul(g)));
  }

  /** Forwards: from rows [n, d_model] of what the MLP reads, each at its position, to what the skip adds at the feature output. */
  forthEach(positions: Int32Array, x: Tensor2D): Tensor2D {
    return tf.tidy(() => this.W_skip.matMul(this.inputMap().forthEach(positions, x), { transpose: true }));
  }

  [Symbol.dispose](): void {
    this.W_skip[Symbol.dispose]();
  }
}
