/** Interventions, the room's door: the original pass of a prompt, and passes in which features have other activations. */
import type { Tensor2D } from '../backend/backend.ts';
import { composeEdits, type HookName } from '../model/hooks.ts';
import type { ForwardOptions, ForwardResult } from '../model/transformer.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { ignoredPositions } from '../tokenizer/bos.ts';
import { FeatureChanges } from './changes.ts';
import { Freeze, FrozenPass } from './freeze.ts';
import type { InterventionPlan } from './plan.ts';

export interface InterventionPassOptions extends ForwardOptions {
  /** Layers whose feature inputs are captured; default all. Of an original pass, those of all plans are needed. */
  readonly inputLayers?: Iterable<number> | undefined;
}

/** An unchanged pass with all that changed passes hold fixed or start from. */
export async function originalPass(
  replacement: ReplacementModel,
  tokens: ArrayLike<number>,
  freeze: Freeze,
  { inputLayers, ...options }: InterventionPassOptions = {},
): Promise<ForwardResult> {
  const { n_layers } = replacement.model.config;
  const names = new Set<HookName>([
    ...freeze.constantHooks(n_layers),
    ...inputHooks(replacement, inputLayers),
  ]);
  for (let layer = 0; layer < n_layers; layer++) {
    if (!freeze.holdsOutput(layer)) continue;
    names.add(replacement.outputHook(layer));
    // What a skip adds is told from the change of its input.
    if (replacement.transcoders.layers[layer]!.W_skip) names.add(replacement.inputHook(layer));
  }
  return await replacement.forward(tokens, {
    ...options,
    capture: (name) => names.has(name) || (options.capture?.(name) ?? false),
  });
}

/**
 * A pass over `tokens` under a plan. `original` is needed where anything is held fixed or a change starts from it, and is
 * that of `originalPass` with the same tokens and freeze. An empty plan freezes nothing.
 */
export async function changedPass(
  replacement: ReplacementModel,
  tokens: ArrayLike<number>,
  plan: InterventionPlan,
  freeze: Freeze,
  original: ForwardResult | undefined,
  { inputLayers, ...options }: InterventionPassOptions = {},
): Promise<ForwardResult> {
  const inputs = inputHooks(replacement, inputLayers);
  const capture = (name: HookName): boolean => inputs.has(name) || (options.capture?.(name) ?? false);
  if (plan.interventions.length === 0) return await replacement.forward(tokens, { ...options, capture });
  using frozen =
    original && freeze.holdsAnything ? await FrozenPass.of(replacement, original, freeze) : undefined;
  using changes = new FeatureChanges(replacement, plan, freeze, {
    first: 0,
    n_pos: tokens.length,
    ignored: ignoredPositions(tokens),
    ...(needsOriginalInput(plan, freeze) && {
      originalInput: (layer: number) => original!.activations.get<Tensor2D>(replacement.inputHook(layer)),
    }),
  });
  const edits = frozen ? composeEdits(frozen.edits, changes.edits) : changes.edits;
  return await replacement.forward(tokens, { ...options, edits, capture });
}

function inputHooks(replacement: ReplacementModel, layers: Iterable<number> | undefined): Set<HookName> {
  const all = Array.from({ length: replacement.model.config.n_layers }, (_, layer) => layer);
  return new Set(Array.from(layers ?? all, (layer) => replacement.inputHook(layer)));
}

/** Whether `changedPass` needs the original pass. */
export function needsOriginal(plan: InterventionPlan, freeze: Freeze): boolean {
  return plan.interventions.length > 0 && (freeze.holdsAnything || needsOriginalInput(plan, freeze));
}

function needsOriginalInput(plan: InterventionPlan, freeze: Freeze): boolean {
  return freeze.constrained !== null || plan.needsOriginal;
}
