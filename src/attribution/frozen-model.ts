/** Attribution, checked: the model with everything frozen that attribution holds fixed, run forwards through its own hooks. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor, Tensor2D } from '../backend/backend.ts';
import type { ActivationCache } from '../model/activation-cache.ts';
import type { Edit, HookName } from '../model/hooks.ts';
import type { ForwardResult } from '../model/transformer.ts';
import { HeldPattern, isPatternHook, patternHook } from '../replacement/held-pattern.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';

/** What enters the residual stream, [pos · d_model] each; what is left out is zero. */
export interface Written {
  readonly embedding?: Float32Array | undefined;
  /** By layer. */
  readonly mlpOut: ReadonlyMap<number, Float32Array>;
}

/** Dispose it, or take it with `using`. */
export class FrozenModel implements Disposable {
  private readonly replacement: ReplacementModel;
  private readonly tokens: readonly number[];
  private readonly patterns: readonly HeldPattern[];
  private readonly pass: ForwardResult;
  private readonly signal: AbortSignal | undefined;

  private constructor(
    replacement: ReplacementModel,
    tokens: readonly number[],
    patterns: readonly HeldPattern[],
    pass: ForwardResult,
    signal: AbortSignal | undefined,
  ) {
    this.replacement = replacement;
    this.tokens = tokens;
    this.patterns = patterns;
    this.pass = pass;
    this.signal = signal;
  }

  /** Runs the attributed pass again and keeps of it what is held fixed, and what rows are measured by. */
  static async of(
    replacement: ReplacementModel,
    tokens: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<FrozenModel> {
    const { config } = replacement.model;
    const layers = Array.from({ length: config.n_layers }, (_, layer) => layer);
    const patterns = layers.map(
      (layer) => new HeldPattern(replacement.model, layer, tokens.length, replacement.budget),
    );
    const kept = new Set<HookName>([
      ...(['hook_embed', 'unembed.hook_pre'] as const),
      ...layers.flatMap((layer) => [replacement.inputHook(layer), replacement.outputHook(layer)]),
      ...replacement.flow.stoppedAt.filter((name) => !isPatternHook(name)),
      ...patterns.flatMap(({ hooks }) => hooks),
    ]);
    try {
      const pass = await replacement.forward(tokens, {
        capture: (name) => kept.has(name),
        afterLayer: (layer, activations) => Promise.resolve(patterns[layer]!.takeFrom(activations)),
        logits: 'none',
        ...(signal && { signal }),
      });
      return new FrozenModel(replacement, tokens, patterns, pass, signal);
    } catch (error) {
      for (const pattern of patterns) pattern[Symbol.dispose]();
      throw error;
    }
  }

  /** `hook_embed`, feature inputs, MLP outputs and `unembed.hook_pre` of the attributed pass. */
  get activations(): Pick<ActivationCache, 'get'> {
    return this.pass.activations;
  }

  /**
   * Runs it on what is written alone. It is linear: patterns and norm divisors are those of the attributed pass, MLPs write
   * nothing but their skip, so the result is the change that the same writing makes to the attributed pass, without the
   * rounding of a difference of two large numbers. Feature inputs and `unembed.hook_pre` are captured.
   */
  async run(written: Written): Promise<ForwardResult> {
    const { replacement, patterns, activations, signal } = this;
    const { n_layers, d_model } = replacement.model.config;
    const shape: [number, number] = [this.tokens.length, d_model];
    const edits = new Map<HookName, Edit>();
    for (const name of replacement.flow.stoppedAt) {
      if (!isPatternHook(name)) edits.set(name, () => activations.get(name));
    }
    edits.set('hook_embed', () => vectors(written.embedding, shape));
    const captured = new Set<HookName>(['unembed.hook_pre']);
    let skip: HeldWeight | null = null; // of the layer that runs
    for (let layer = 0; layer < n_layers; layer++) {
      const [inputHook, outputHook] = [replacement.inputHook(layer), replacement.outputHook(layer)];
      captured.add(inputHook);
      edits.set(patternHook(layer), () => patterns[layer]!.acquire().value);
      let input: Tensor;
      edits.set(inputHook, (value) => (input = value));
      edits.set(outputHook, () => {
        const own = vectors(written.mlpOut.get(layer), shape);
        return skip ? tf.add<Tensor2D>(own, skip.matMul(input as Tensor2D, { transpose: true })) : own;
      });
    }
    return await replacement.forward(this.tokens, {
      edits,
      beforeLayer: async (layer) => (skip = await replacement.transcoders.acquireSkip(layer)),
      capture: (name) => captured.has(name),
      logits: 'none',
      ...(signal && { signal }),
    });
  }

  [Symbol.dispose](): void {
    for (const pattern of this.patterns) pattern[Symbol.dispose]();
    this.pass[Symbol.dispose]();
  }
}

function vectors(values: Float32Array | undefined, shape: [number, number]): Tensor2D {
  return values ? tf.tensor2d(values, shape) : tf.zeros(shape);
}
