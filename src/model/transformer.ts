/** Model: the forward pass, from token ids to logits. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Weight } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { ActivationCache, hookPoints, type HookPoints } from './activation-cache.ts';
import { attentionMask, type PassContext, type PastKeysValues } from './attention.ts';
import { block } from './block.ts';
import { matricesOf, type AttentionType } from './block-spec.ts';
import { checkTokens } from './check-tokens.ts';
import type { TransformerConfig } from './config.ts';
import { expertBlock } from './expert-block.ts';
import { withMatrices, type BlockWeights } from './held-block.ts';
import { hookNames, isBeforeBlocks, layerOfHook, type OutputSite, type RunHooks } from './hooks.ts';
import type { KeyValueCache } from './kv-cache.ts';
import type { Norm } from './norm.ts';
import { rotaryTable, type Rotary, type RotaryTable } from './rope.ts';
import { softCap } from './soft-cap.ts';

export interface TransformerWeights extends Disposable {
  readonly W_E: Weight;
  /** The embedding itself when it is tied. */
  readonly W_U: Weight;
  /** Learned positions [n_ctx, d_model]; null where positions are rotations. */
  readonly W_pos: Weight | null;
  readonly ln_final: Norm;
  readonly blocks: readonly BlockWeights[];
}

export interface ForwardOptions extends RunHooks {
  /**
   * Which positions get logits, default all. For long prompts and large vocabularies, `last` and `none` save most of the
   * memory. `unembed.hook_pre` and `unembed.hook_post` have the same positions; with `none`, `unembed.hook_pre` has all (for
   * `logitBlocks`) and the pass ends after the last layer that is captured or edited, unless it fills a `cache`.
   */
  readonly logits?: 'all' | 'last' | 'none';
  /** Keys and values of earlier tokens; those of this pass are added. */
  readonly cache?: KeyValueCache;
  /** What the features of a set write to: the hook behind it is called. `hook_mlp_out` when left out. */
  readonly output?: OutputSite;
  /** Called before each layer. What it returns is disposed when the layer has run: weights that its edits need. */
  readonly beforeLayer?: (layer: number) => Promise<Disposable | null>;
  /** Called after each layer with what was captured so far, of which it may take values that are not needed any longer. */
  readonly afterLayer?: (layer: number, activations: ActivationCache) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** Result of a pass. Dispose it, or take it with `using`. */
export interface ForwardResult extends Disposable {
  /** [pos, d_vocab], after the soft cap; one row with `logits: 'last'`, no row with `'none'`. */
  readonly logits: Tensor2D;
  readonly activations: ActivationCache;
  /** Logits of the last position, [d_vocab]. */
  lastLogits(): Promise<Float32Array>;
}

/** A decoder-only transformer. No batch axis: `[pos, d_model]`. */
export class Transformer implements Disposable {
  readonly config: TransformerConfig;
  readonly weights: TransformerWeights;

  constructor(config: TransformerConfig, weights: TransformerWeights) {
    this.config = config;
    this.weights = weights;
  }

  /**
   * Runs the model over token ids. Throws `UsageError` for no tokens, ids outside the vocabulary, and prompts longer
   * than the context; the reason of `signal` when it is aborted.
   */
  async forward(tokens: ArrayLike<number>, options: ForwardOptions = {}): Promise<ForwardResult> {
    const { config } = this;
    const first = options.cache?.length ?? 0;
    checkTokens(tokens, config, first);
    const n = tokens.length;
    const activations = new ActivationCache();
    const hooks = hookPoints(options, activations);
    using rotary = rotaryTables(first, n, config);
    const masks = {
      local: attentionMask(first, n, 'local', config.window_size),
      global: attentionMask(first, n, 'global', config.window_size),
    };
    const { n_layers, hasEnd } = extentOf(options, config);
    let residual: Tensor2D | undefined;
    try {
      residual = await this.embed(tokens, first, hooks);
      for (let layer = 0; layer < n_layers; layer++) {
        await yieldToEventLoop();
        options.signal?.throwIfAborted();
        const context: PassContext = {
          config,
          hooks,
          rotary: rotary.tables,
          masks,
          ...(options.output && { output: options.output }),
          ...(options.cache && { onKeysValues: (l, keys, values) => options.cache!.put(l, keys, values) }),
        };
        {
          using _held = await options.beforeLayer?.(layer);
          residual = await this.runLayer(residual, layer, context, options.cache?.get(layer));
        }
        await options.afterLayer?.(layer, activations);
      }
      options.cache?.advance(n);
      const logits = hasEnd
        ? await this.unembed(residual, hooks, options.logits ?? 'all')
        : tf.zeros<tf.Rank.R2>([0, config.d_vocab]);
      return {
        logits,
        activations,
        lastLogits: () => lastRow(logits),
        [Symbol.dispose]() {
          logits.dispose();
          activations[Symbol.dispose]();
        },
      };
    } catch (error) {
      activations[Symbol.dispose]();
      throw error;
    } finally {
      residual?.dispose();
      masks.local.dispose();
      masks.global.dispose();
    }
  }

  /** What tokens at positions from `first` on bring into the residual stream, [pos, d_model]. */
  async embed(tokens: ArrayLike<number>, first = 0, hooks?: HookPoints): Promise<Tensor2D> {
    const { W_E, W_pos } = this.weights;
    const rows = await W_E.rows(Int32Array.from(tokens));
    const embedded = disposing(rows, () => {
      const scaled: Tensor2D = tf.mul(rows, this.config.embed_scale);
      return hooks ? hooks.at('hook_embed', scaled) : scaled;
    });
    if (!W_pos) return embedded;
    try {
      const positions = await W_pos.rows(Int32Array.from(tokens, (_, i) => first + i));
      return disposing(positions, () =>
        tf.add<Tensor2D>(embedded, hooks ? hooks.at('hook_pos_embed', positions) : positions),
      );
    } finally {
      embedded.dispose();
    }
  }

  /** The residual stream [pos, d_model] after a layer, for passes that visit layers in another way. Disposes `residual`. */
  async runLayer(
    residual: Tensor2D,
    layer: number,
    context: PassContext,
    past?: PastKeysValues,
  ): Promise<Tensor2D> {
    const stored = this.weights.blocks[layer]!;
    if (this.config.block.experts) return await expertBlock(residual, stored, layer, context, past);
    return await withMatrices(stored, matricesOf(this.config.block), (held) =>
      disposing(residual, () => block(residual, held, layer, context, past)),
    );
  }

  private async unembed(
    residual: Tensor2D,
    hooks: HookPoints,
    which: 'all' | 'last' | 'none',
  ): Promise<Tensor2D> {
    const { config, weights } = this;
    using W_U = which === 'none' ? null : await weights.W_U.acquire();
    return tf.tidy(() => {
      const normalized = weights.ln_final.forward(residual, hooks, {
        scale: 'ln_final.hook_scale',
        normalized: 'ln_final.hook_normalized',
      });
      const start = which === 'last' ? residual.shape[0] - 1 : 0;
      const wanted = start === 0 ? normalized : tf.slice<tf.Rank.R2, Tensor2D>(normalized, [start, 0]);
      const pre = hooks.at('unembed.hook_pre', wanted);
      if (!W_U) return tf.zeros([0, config.d_vocab]);
      const z = hooks.at('unembed.hook_post', W_U.matMul(pre, { transpose: true })); // before the cap
      return softCap(z, config.output_logits_soft_cap);
    });
  }

  [Symbol.dispose](): void {
    this.weights[Symbol.dispose]();
  }
}

/** How much of the model a pass has to run: the number of layers, and whether the final norm and unembedding are needed. */
function extentOf(
  { logits, cache, edits, capture, output }: ForwardOptions,
  config: TransformerConfig,
): { n_layers: number; hasEnd: boolean } {
  const { n_layers } = config;
  if (logits !== 'none' || cache) return { n_layers, hasEnd: true };
  const last = hookNames(config, output).findLast((name) => edits?.has(name) || capture?.(name));
  const layer = last === undefined || isBeforeBlocks(last) ? -1 : layerOfHook(last);
  return layer === null ? { n_layers, hasEnd: true } : { n_layers: layer + 1, hasEnd: false };
}

/** One table for each attention type of the model; layers of the same rotation share one. */
function rotaryTables(first: number, n: number, { rotary, attn_types }: TransformerConfig): RotaryTables {
  if (!rotary) return { tables: null, [Symbol.dispose]: () => undefined };
  const made = new Map<Rotary, RotaryTable>();
  const tableOf = (type: AttentionType): RotaryTable => {
    const spec = rotary[attn_types.includes(type) ? type : attn_types[0]!];
    const table = made.get(spec) ?? rotaryTable(first, n, spec);
    made.set(spec, table);
    return table;
  };
  const tables = { local: tableOf('local'), global: tableOf('global') };
  return {
    tables,
    [Symbol.dispose]() {
      for (const table of made.values()) table[Symbol.dispose]();
    },
  };
}

interface RotaryTables extends Disposable {
  readonly tables: PassContext['rotary'];
}

/** Numbers of the last row of a matrix, [d_vocab]. */
export async function lastRow(logits: Tensor2D): Promise<Float32Array> {
  const [n, d_vocab] = logits.shape;
  const row = tf.slice(logits, [n - 1, 0], [1, d_vocab]);
  try {
    return await row.data<'float32'>();
  } finally {
    row.dispose();
  }
}

/** Runs a step in a tidy of its own and disposes its input, also when the step throws. */
function disposing(input: Tensor2D, step: () => Tensor2D): Tensor2D {
  try {
    return tf.tidy(() => step());
  } finally {
    input.dispose();
  }
}
