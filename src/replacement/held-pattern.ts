/** Replacement: the attention pattern of a layer in a pass that later work holds constant. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor3D } from '../backend/backend.ts';
import type { MemoryBudget } from '../backend/budget.ts';
import type { Loan } from '../backend/recomputable.ts';
import type { ActivationCache } from '../model/activation-cache.ts';
import { attentionMask, attentionPattern, attentionScores } from '../model/attention.ts';
import type { TransformerConfig } from '../model/config.ts';
import { blockHook, type HookName } from '../model/hooks.ts';
import type { Transformer } from '../model/transformer.ts';

const FLOAT32_BYTES = 4;
const SITE = 'attn.hook_pattern';

/** Queries and keys as they are multiplied. */
const QUERIES_AND_KEYS = {
  rotary: ['attn.hook_rot_q', 'attn.hook_rot_k'],
  learned: ['attn.hook_q', 'attn.hook_k'],
} as const;

export function patternHook(layer: number): HookName {
  return blockHook(layer, SITE);
}

export function isPatternHook(name: HookName): boolean {
  return name.endsWith(SITE);
}

/**
 * Patterns grow with the square of the prompt. Where the budget has no room for one, its rotated queries and keys are kept
 * instead, unless they are the larger, and the pattern is computed again for each use, to the same numbers.
 */
export class HeldPattern<Form extends Tensor = Tensor3D> implements Disposable {
  /** Hooks that the pass has to capture. */
  readonly hooks: readonly HookName[];
  private readonly config: TransformerConfig;
  private readonly sinks: Tensor1D | null;
  private readonly layer: number;
  private readonly budget: MemoryBudget;
  private readonly form: (pattern: Tensor3D) => Form;
  private countedBytes: number;
  private kept: Form | undefined;
  private queriesAndKeys: readonly [Tensor3D, Tensor3D] | undefined;

  /**
   * Before the pass: reserves the memory, which decides what has to be captured.
   * @param form what is used of a pattern [head, q_pos, k_pos], a tensor of the same size, itself by default; called inside a tidy
   */
  constructor(
    { config, weights }: Pick<Transformer, 'config' | 'weights'>,
    layer: number,
    n_pos: number,
    budget: MemoryBudget,
    form: (pattern: Tensor3D) => Form = (pattern) => pattern.clone() as Tensor as Form,
  ) {
    const { n_heads, n_kv_heads, d_head } = config;
    const bytes = n_heads * n_pos * n_pos * FLOAT32_BYTES;
    const isCounted = budget.take(bytes);
    const isKept = isCounted || bytes <= (n_heads + n_kv_heads) * d_head * n_pos * FLOAT32_BYTES;
    this.hooks = isKept
      ? [patternHook(layer)]
      : QUERIES_AND_KEYS[config.positions].map((site) => blockHook(layer, site));
    this.config = config;
    this.sinks = weights.blocks[layer]!.sinks;
    this.layer = layer;
    this.budget = budget;
    this.form = form;
    this.countedBytes = isCounted ? bytes : 0;
  }

  /**
   * After the layer, once: takes what was captured, so that there is one copy of it.
   * @param isWanted whether a hook has to stay captured
   */
  takeFrom(activations: ActivationCache, isWanted: (name: HookName) => boolean = () => false): void {
    const [first, second] = this.hooks.map((name) =>
      isWanted(name) ? activations.get<Tensor3D>(name).clone() : activations.take<Tensor3D>(name),
    );
    if (second) {
      this.queriesAndKeys = [first!, second];
      return;
    }
    this.kept = tf.tidy(() => this.form(first!));
    first!.dispose();
  }

  /** Inside a tidy, what had to be computed is disposed by it. */
  acquire(): Loan<Form> {
    if (this.kept) return { value: this.kept, [Symbol.dispose]: () => undefined };
    const value = tf.tidy(() => this.form(this.computed()));
    return { value, [Symbol.dispose]: () => value.dispose() };
  }

  private computed(): Tensor3D {
    const { attn_types, window_size } = this.config;
    const [queries, keys] = this.queriesAndKeys!;
    const mask = attentionMask(0, queries.shape[0], attn_types[this.layer]!, window_size);
    return attentionPattern(attentionScores(queries, keys, mask, this.config), this.sinks);
  }

  [Symbol.dispose](): void {
    this.kept?.dispose();
    for (const tensor of this.queriesAndKeys ?? []) tensor.dispose();
    this.kept = this.queriesAndKeys = undefined;
    this.budget.giveBack(this.countedBytes);
    this.countedBytes = 0;
  }
}
