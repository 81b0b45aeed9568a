/** Interventions: what of the original pass is held fixed while features are changed (golden README, section 8). */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor2D } from '../backend/backend.ts';
import { UsageError } from '../errors.ts';
import { blockHook, type Edit, type HookedConfig, type HookName } from '../model/hooks.ts';
import { divisorSites } from '../model/block-spec.ts';
import type { ForwardOptions, ForwardResult } from '../model/transformer.ts';
import { isPatternHook, patternHook, type HeldPattern } from '../replacement/held-pattern.ts';
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
  constantHooks({ n_layers, block }: HookedConfig): HookName[] {
    const layers = Array.from({ length: n_layers }, (_, layer) => layer);
    const patterns = layers.map((layer) => blockHook(layer, 'attn.hook_pattern'));
    const divisors = layers.flatMap((layer) => divisorSites(block).map((site) => blockHook(layer, site)));
    return [
      ...(this.patterns ? patterns : []),
      ...(this.divisors ? [...divisors, 'ln_final.hook_scale' as const] : []),
    ];
  }
}

/** An unchanged pass with all that changed passes hold fixed or start from. Dispose it, or take it with `using`. */
export interface OriginalPass extends ForwardResult {
  /** By layer; none where patterns are not held. */
  readonly patterns: readonly HeldPattern[];
}

/** Edits of a pass, and what they need of a layer while it runs. */
export type FrozenEdits = Required<Pick<ForwardOptions, 'edits' | 'beforeLayer'>>;

/**
 * Edits that put the original pass in place of the running one.
 * @param original has captured what `freeze` names, the outputs it holds, and the feature inputs
 */
export function frozenEdits(
  replacement: ReplacementModel,
  { activations, patterns }: OriginalPass,
  freeze: Freeze,
): FrozenEdits {
  const { config } = replacement.model;
  const { n_layers } = config;
  const edits = new Map<HookName, Edit>();
  for (const name of freeze.constantHooks(config)) {
    if (!isPatternHook(name)) edits.set(name, () => activations.get(name));
  }
  for (const [layer, pattern] of patterns.entries()) {
    edits.set(patternHook(layer), () => pattern.acquire().value);
  }
  let W_skip: HeldWeight | null = null; // of the layer that runs
  for (let layer = 0; layer < n_layers; layer++) {
    if (!freeze.holdsOutput(layer)) continue;
    const inputHook = replacement.inputHook(layer);
    const outputHook = replacement.outputHook(layer);
    // The output stays the original one, except for what a skip connection makes of a changed input.
    let skipped: Tensor2D | null; // made and used within one tidy: that of the layer
    edits.set(inputHook, (input) => {
      const change = (): Tensor2D => tf.sub(input, activations.get<Tensor2D>(inputHook));
      skipped = W_skip && W_skip.matMul(change(), { transpose: true });
      return input;
    });
    edits.set(outputHook, () => {
      const output = activations.get<Tensor2D>(outputHook);
      return skipped ? tf.add(output, skipped) : output;
    });
  }
  const beforeLayer = async (layer: number): Promise<Disposable | null> =>
    (W_skip = freeze.holdsOutput(layer) ? await replacement.transcoders.acquireSkip(layer) : null);
  return { edits, beforeLayer };
}

function checkRange({ from, to }: LayerRange, n_layers: number): void {
  if (Number.isInteger(from) && Number.isInteger(to) && from >= 0 && to <= n_layers && from < to) return;
  throw new UsageError({
    code: 'layer_out_of_range',
    message: `constrained layers ${from}:${to} do not exist; the model has ${n_layers} layers`,
    hint: `The end is excluded: 0:${n_layers} are all of them.`,
  });
}
