/** Attribution, step 1 of 4: a prompt's pass, and of it what the linear model holds constant. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { ActivationCache } from '../model/activation-cache.ts';
import type { TransformerConfig } from '../model/config.ts';
import { blockHook, type HookName } from '../model/hooks.ts';
import type { ForwardResult } from '../model/transformer.ts';
import { HeldPattern } from '../replacement/held-pattern.ts';
import type { ActiveFeatures, ReplacementModel } from '../replacement/replacement-model.ts';

/** [n_kv_heads, q_pos, group, k_pos]: pattern / (ln1_post divisor of q · ln1 divisor of k). */
export type DividedPattern = tf.Tensor4D;

export interface FrozenPassOptions {
  /** Features and errors of positions before it are left out, as the reference does for the beginning of the sequence. */
  readonly firstPosition: number;
  /** Further values to keep among `activations`. */
  readonly capture?: ((name: HookName) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Belongs to a prompt. Dispose it, or take it with `using`. */
export class FrozenPass implements Disposable {
  readonly tokens: readonly number[];
  readonly firstPosition: number;
  readonly features: ActiveFeatures;
  readonly patterns: readonly HeldPattern<DividedPattern>[];
  private readonly forward: ForwardResult;
  private readonly mlpHooks: readonly HookName[];

  private constructor(
    tokens: readonly number[],
    firstPosition: number,
    features: ActiveFeatures,
    patterns: readonly HeldPattern<DividedPattern>[],
    forward: ForwardResult,
    mlpHooks: readonly HookName[],
  ) {
    this.tokens = tokens;
    this.firstPosition = firstPosition;
    this.features = features;
    this.patterns = patterns;
    this.forward = forward;
    this.mlpHooks = mlpHooks;
  }

  /** Runs a prompt. Patterns are taken layer by layer, so that there is one copy of each. Throws what `forward` throws. */
  static async of(
    replacement: ReplacementModel,
    tokens: readonly number[],
    { firstPosition, capture, signal }: FrozenPassOptions,
  ): Promise<FrozenPass> {
    const { config } = replacement.model;
    const layers = Array.from({ length: config.n_layers }, (_, layer) => layer);
    // What the norm behind an MLP gives is part of a constant, unless features write before it.
    const frozenNorms = config.block.norms.filter(
      (norm) => norm !== 'ln2_post' || replacement.normBehind(0) !== undefined,
    );
    const divisors: Divisors[] = []; // by layer; they stay the pass's
    const patterns = layers.map(
      (layer) =>
        new HeldPattern(replacement.model, layer, tokens.length, replacement.budget, (pattern) =>
          divided(pattern, divisors[layer]!, config),
        ),
    );
    const mlpHooks = layers.flatMap((layer) => [replacement.inputHook(layer), replacement.outputHook(layer)]);
    const captured = new Set<HookName>([
      ...(['hook_embed', 'ln_final.hook_scale'] as const),
      ...mlpHooks,
      ...patterns.flatMap(({ hooks }) => hooks),
      ...layers.flatMap((layer) => frozenNorms.map((norm) => blockHook(layer, `${norm}.hook_scale`))),
    ]);
    try {
      const { forward, features } = await replacement.run(tokens, {
        capture: (name) => captured.has(name) || (capture?.(name) ?? false),
        afterLayer: (layer, activations) => {
          const divisorOf = (norm: 'ln1' | 'ln1_post'): Tensor2D | null =>
            frozenNorms.includes(norm) ? activations.get(blockHook(layer, `${norm}.hook_scale`)) : null;
          divisors[layer] = { ln1: divisorOf('ln1'), ln1_post: divisorOf('ln1_post') };
          patterns[layer]!.takeFrom(activations, capture);
          return Promise.resolve();
        },
        logits: 'last',
        firstPosition,
        ...(signal && { signal }),
      });
      return new FrozenPass(tokens, firstPosition, features, patterns, forward, mlpHooks);
    } catch (error) {
      for (const pattern of patterns) pattern[Symbol.dispose]();
      throw error;
    }
  }

  get n_pos(): number {
    return this.tokens.length;
  }

  /**
   * `hook_embed`, the divisors of norms, and until `releaseMlps` the inputs of features and outputs of MLPs. They stay the
   * pass's.
   */
  get activations(): Pick<ActivationCache, 'get'> {
    return this.forward.activations;
  }

  /** Embeddings as they enter the residual stream, [pos, d_model]. */
  get tokenVectors(): Tensor2D {
    return this.activations.get('hook_embed');
  }

  /** Logits of the last position, after the soft cap, [d_vocab]. */
  lastLogits(): Promise<Float32Array> {
    return this.forward.lastLogits();
  }

  /** Lets go what only error vectors are made of. */
  releaseMlps(): void {
    for (const name of this.mlpHooks) this.forward.activations.take(name).dispose();
  }

  [Symbol.dispose](): void {
    for (const pattern of this.patterns) pattern[Symbol.dispose]();
    this.forward[Symbol.dispose]();
  }
}

/** Divisors of the norms around attention, [pos, 1]; null where there is no norm. */
interface Divisors {
  readonly ln1: Tensor2D | null;
  readonly ln1_post: Tensor2D | null;
}

function divided(
  pattern: Tensor3D,
  { ln1, ln1_post }: Divisors,
  { n_heads, n_kv_heads }: TransformerConfig,
): DividedPattern {
  const n_pos = pattern.shape[1];
  const byQuery = ln1_post ? tf.div<Tensor3D>(pattern, tf.reshape(ln1_post, [1, n_pos, 1])) : pattern;
  const quotient = ln1 ? tf.div<Tensor3D>(byQuery, tf.reshape(ln1, [1, 1, n_pos])) : byQuery;
  const grouped = tf.reshape<tf.Rank.R4>(quotient, [n_kv_heads, n_heads / n_kv_heads, n_pos, n_pos]);
  return tf.transpose<DividedPattern>(grouped, [0, 2, 1, 3]);
}
