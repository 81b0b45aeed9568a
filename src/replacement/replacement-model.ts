/** Replacement: a model and the transcoders that describe its MLPs, as one thing that can be run. */
import type { Backend, Tensor2D } from '../backend/backend.ts';
import { MemoryBudget } from '../backend/budget.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { ActivationCache } from '../model/activation-cache.ts';
import { blockHook, type HookName } from '../model/hooks.ts';
import type { Norm } from '../model/norm.ts';
import type { ForwardOptions, ForwardResult, Transformer } from '../model/transformer.ts';
import { USUAL_PROMPT, type PromptRule } from '../tokenizer/bos.ts';
import type { LayerFeatures } from '../transcoder/activations/activation.ts';
import type { TranscoderSet } from '../transcoder/transcoder-set.ts';
import { FoldedWeights } from './folded-weights.ts';
import { gradientFlow, type GradientFlow } from './gradient-flow.ts';

/** Active features of a prompt, sorted by layer, position, feature. */
export interface ActiveFeatures {
  /** [n, 3]: layer, position, feature. */
  readonly indices: Int32Array;
  /** [n] */
  readonly values: Float32Array;
}

/** A pass of the replacement model: an ordinary forward pass, and what the transcoders see in it. */
export interface ReplacementRun {
  /** Dispose it, or take it with `using`. */
  readonly forward: ForwardResult;
  readonly features: ActiveFeatures;
}

export interface RunOptions extends ForwardOptions {
  /** Positions before it count as inactive. Attribution leaves out the beginning of the sequence; `run` does not. */
  readonly firstPosition?: number;
}

/**
 * The original model with its MLPs and its unembedding wrapped (`mlp.hook_in/out`, `unembed.hook_pre/post`) and the
 * transcoders connected by caching hooks at the feature input and output of every layer. The MLPs keep running: features
 * describe them, they do not replace their numbers.
 */
export class ReplacementModel implements Disposable {
  readonly model: Transformer;
  readonly transcoders: TranscoderSet;
  readonly flow: GradientFlow;
  /** What is kept beside the parameters, for the session or for a prompt, takes its memory from here. */
  readonly budget: MemoryBudget;
  readonly folded: FoldedWeights;

  private readonly n_ignored: number;

  /**
   * @param budget the one that `model` and `transcoders` were loaded with
   * @param n_ignored leading positions that count as inactive in attribution and interventions
   */
  constructor(
    model: Transformer,
    transcoders: TranscoderSet,
    budget: MemoryBudget = new MemoryBudget(),
    { n_ignored }: Pick<PromptRule, 'n_ignored'> = USUAL_PROMPT,
  ) {
    this.n_ignored = n_ignored;
    this.model = model;
    this.transcoders = transcoders;
    this.budget = budget;
    this.folded = new FoldedWeights(model, budget);
    this.flow = gradientFlow(model.config, transcoders.config.feature_output_hook);
  }

  get backend(): Backend {
    return this.transcoders.backend;
  }

  /** How many of the first positions of a prompt count as inactive. */
  ignoredPositions({ length }: ArrayLike<number>): number {
    return Math.min(this.n_ignored, length);
  }

  inputHook(layer: number): HookName {
    return blockHook(layer, this.transcoders.config.feature_input_hook);
  }

  outputHook(layer: number): HookName {
    return blockHook(layer, this.transcoders.config.feature_output_hook);
  }

  /** The norm between what features write and the residual stream; undefined where they write into it. */
  normBehind(layer: number): Norm | undefined {
    const isBefore = this.transcoders.config.feature_output_hook === 'mlp.hook_out';
    return isBefore ? this.model.weights.blocks[layer]!.norms.ln2_post : undefined;
  }

  /** Runs the model over token ids; errors as `Transformer.forward`. */
  async forward(tokens: ArrayLike<number>, options: ForwardOptions = {}): Promise<ForwardResult> {
    return await this.model.forward(tokens, {
      ...options,
      output: this.transcoders.config.feature_output_hook,
    });
  }

  /** Runs the model with the caching hooks and encodes each feature input as soon as it is there. */
  async run(tokens: ArrayLike<number>, options: RunOptions = {}): Promise<ReplacementRun> {
    const inputs = new Set<HookName>();
    for (const { layer } of this.transcoders.layers) inputs.add(this.inputHook(layer));
    const isWanted = (name: HookName): boolean => options.capture?.(name) ?? false;
    const parts = new Map<number, LayerFeatures>();
    const forward = await this.forward(tokens, {
      ...options,
      capture: (name) => inputs.has(name) || isWanted(name),
      afterLayer: async (layer, activations) => {
        const name = this.inputHook(layer);
        const isEncoded = this.transcoders.at(layer) !== undefined;
        if (isEncoded) {
          const input = activations.get<Tensor2D>(name);
          parts.set(layer, await this.transcoders.encode(layer, input, options.firstPosition ?? 0));
        }
        await options.afterLayer?.(layer, activations);
        if (isEncoded && !isWanted(name)) activations.take(name).dispose();
      },
    });
    return { forward, features: joined(parts) };
  }

  /** Active features of a run, or of several joined, whose feature inputs were captured. */
  async encode(
    forward: { readonly activations: ActivationCache },
    options: RunOptions = {},
  ): Promise<ActiveFeatures> {
    const parts = new Map<number, LayerFeatures>();
    for (const { layer } of this.transcoders.layers) {
      await yieldToEventLoop();
      options.signal?.throwIfAborted();
      const input = forward.activations.get<Tensor2D>(this.inputHook(layer));
      parts.set(layer, await this.transcoders.encode(layer, input, options.firstPosition ?? 0));
    }
    return joined(parts);
  }

  [Symbol.dispose](): void {
    this.folded[Symbol.dispose]();
    this.transcoders[Symbol.dispose]();
    this.model[Symbol.dispose]();
  }
}

/** Features by layer, the layers ascending. */
function joined(parts: ReadonlyMap<number, LayerFeatures>): ActiveFeatures {
  const n = [...parts.values()].reduce((sum, part) => sum + part.values.length, 0);
  const indices = new Int32Array(3 * n);
  const values = new Float32Array(n);
  let at = 0;
  for (const [layer, part] of parts) {
    values.set(part.values, at);
    for (let i = 0; i < part.values.length; i++, at++) {
      indices.set([layer, part.positions[i]!, part.features[i]!], 3 * at);
    }
  }
  return { indices, values };
}
