/** Interventions: what of the original pass is held fixed while features are changed (golden README, section 8). */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor2D } from '../backend/backend.ts';
import { UsageError } from '../errors.ts';
import { blockHook, NORMS, type Edit, type HookName } from '../model/hooks.ts';
import type { ForwardResult } from '../model/transformer.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';

/** Layers [from, to). */
export interface LayerRange {
  readonly from: number;
  readonly to: number;
}

export interface FreezeOptions {
  /** Attention patterns keep what the original pass gave them. Default true. */
  readonly freezeAttention?: boolean | undefined;
  /**
   * Layers whose MLP outputs are the original ones: what reaches them comes from the changed features themselves. Freezes
   * the patterns too, and with all layers every norm divisor: what is left is linear.
   */
  readonly constrainedLayers?: LayerRange | undefined;
}

/** What of the original pass is held fixed. */
export class Freeze {
  readonly patterns: boolean;
  readonly divisors: boolean;
  /** Null: no MLP output is held, and a change starts from the activation in the changed pass itself. */
  readonly constrained: LayerRange | null;

  /** Throws `UsageError` for layers that the model does not have. */
  constructor({ freezeAttention, constrainedLayers }: FreezeOptions, n_layers: number) {
    if (constrainedLayers) checkRange(constrainedLayers, n_layers);
    this.constrained = constrainedLayers ?? null;
    this.patterns = (freezeAttention ?? true) || this.constrained !== null;
    this.divisors = this.constrained?.from === 0 && this.constrained.to === n_layers;
  }

  /** Whether anything of the original pass is needed. */
  get holdsAnything(): boolean {
    return this.patterns;
  }

  holdsOutput(layer: number): boolean {
    return this.constrained !== null && layer >= this.constrained.from && layer < this.constrained.to;
  }

  /** Whether changed features write into a layer. */
  receives(layer: number): boolean {
    return this.constrained === null || this.holdsOutput(layer);
  }

  /** Values that keep what the original pass gave them, outputs of MLPs left out. */
  constantHooks(n_layers: number): HookName[] {
    const layers = Array.from({ length: n_layers }, (_, layer) => layer);
    const patterns = layers.map((layer) => blockHook(layer, 'attn.hook_pattern'));
    const divisors = layers.flatMap((layer) => NORMS.map((norm) => blockHook(layer, `${norm}.hook_scale`)));
    return [
      ...(this.patterns ? patterns : []),
      ...(this.divisors ? [...divisors, 'ln_final.hook_scale' as const] : []),
    ];
  }
}

/** Edits that put the original pass in place of the running one. Dispose them when the pass is over. */
export class FrozenPass implements Disposable {
  readonly edits: ReadonlyMap<HookName, Edit>;
  private readonly skips: readonly HeldWeight[];

  private constructor(edits: ReadonlyMap<HookName, Edit>, skips: readonly HeldWeight[]) {
    this.edits = edits;
    this.skips = skips;
  }

  /** @param original has captured what `freeze` names, the outputs it holds, and the feature inputs */
  static async of(
    replacement: ReplacementModel,
    original: ForwardResult,
    freeze: Freeze,
  ): Promise<FrozenPass> {
    const { n_layers } = replacement.model.config;
    const { activations } = original;
    const edits = new Map<HookName, Edit>();
    const skips: HeldWeight[] = [];
    for (const name of freeze.constantHooks(n_layers)) edits.set(name, () => activations.get(name));
    try {
      for (let layer = 0; layer < n_layers; layer++) {
        if (!freeze.holdsOutput(layer)) continue;
        const W_skip = await replacement.transcoders.acquireSkip(layer);
        if (W_skip) skips.push(W_skip);
        holdOutput(edits, replacement, original, layer, W_skip);
      }
    } catch (error) {
      for (const skip of skips) skip[Symbol.dispose]();
      throw error;
    }
    return new FrozenPass(edits, skips);
  }

  [Symbol.dispose](): void {
    for (const skip of this.skips) skip[Symbol.dispose]();
  }
}

/** The MLP output stays the original one, except for what a skip connection makes of a changed input. */
function holdOutput(
  edits: Map<HookName, Edit>,
  replacement: ReplacementModel,
  { activations }: ForwardResult,
  layer: number,
  W_skip: HeldWeight | null,
): void {
  const inputHook = replacement.inputHook(layer);
  const outputHook = replacement.outputHook(layer);
  const output = activations.get<Tensor2D>(outputHook);
  if (!W_skip) {
    edits.set(outputHook, () => output);
    return;
  }
  const inputThen = activations.get<Tensor2D>(inputHook);
  let skipped: Tensor2D | undefined; // made and used within one tidy: that of the layer
  edits.set(inputHook, (input) => {
    skipped = W_skip.matMul(tf.sub<Tensor2D>(input, inputThen), { transpose: true });
    return input;
  });
  edits.set(outputHook, () => tf.add(output, skipped!));
}

function checkRange({ from, to }: LayerRange, n_layers: number): void {
  if (Number.isInteger(from) && Number.isInteger(to) && from >= 0 && to <= n_layers && from < to) return;
  throw new UsageError({
    code: 'layer_out_of_range',
    message: `constrained layers ${from}:${to} do not exist; the model has ${n_layers} layers`,
    hint: `The end is excluded: 0:${n_layers} are all of them.`,
  });
}
