/** Interventions, the room's entry: the original pass of a prompt, and passes in which features have other activations. */
import type { Tensor2D } from '../backend/backend.ts';
import { composeEdits, type HookName } from '../model/hooks.ts';
import type { ForwardOptions, ForwardResult } from '../model/transformer.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { ignoredPositions } from '../tokenizer/bos.ts';
import { FeatureChanges } from './changes.ts';
import { Freeze, FrozenPass } from './freeze.ts';
import type { InterventionPlan } from './plan.ts';

/** An unchanged pass with all that changed passes hold fixed or start from. */
export async function originalPass(
  replacement: ReplacementModel,
  tokens: ArrayLike<number>,
  freeze: Freeze,
  options: ForwardOptions = {},
): Promise<ForwardResult> {
  const { n_layers } = replacement.model.config;
  const names = new Set<HookName>(freeze.constantHooks(n_layers));
  for (let layer = 0; layer < n_layers; layer++) {
    names.add(replacement.inputHook(layer));
    if (freeze.holdsOutput(layer)) names.add(replacement.outputHook(layer));
  }
  return await replacement.forward(tokens, {
    ...options,
    capture: (name) => names.has(name) || (options.capture?.(name) ?? false),
  });
}

/**
 * A pass over `tokens` under a plan, with the feature inputs captured. `original` is needed where anything is held fixed
 * or a change starts from it, and is that of `originalPass` with the same tokens and freeze. An empty plan freezes nothing.
 */
export async function changedPass(
  replacement: ReplacementModel,
  tokens: ArrayLike<number>,
  plan: InterventionPlan,
  freeze: Freeze,
  original: ForwardResult | undefined,
  options: ForwardOptions = {},
): Promise<ForwardResult> {
  const { n_layers } = replacement.model.config;
  const inputs = new Set(Array.from({ length: n_layers }, (_, layer) => replacement.inputHook(layer)));
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

/** Whether `changedPass` needs the original pass. */
export function needsOriginal(plan: InterventionPlan, freeze: Freeze): boolean {
  return plan.interventions.length > 0 && (freeze.holdsAnything || needsOriginalInput(plan, freeze));
}

function needsOriginalInput(plan: InterventionPlan, freeze: Freeze): boolean {
  return freeze.constrained !== null || plan.needsOriginal;
}
