/** Interventions, the room's entry: the original pass of a prompt, and passes in which features have other activations. */
import type { Tensor2D } from '../backend/backend.ts';
import { composeEdits, type HookName } from '../model/hooks.ts';
import type { ForwardOptions, ForwardResult } from '../model/transformer.ts';
import { HeldPattern, isPatternHook } from '../replacement/held-pattern.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { FeatureChanges } from './changes.ts';
import { frozenEdits, type Freeze, type OriginalPass } from './freeze.ts';
import { headEdits } from './head-edits.ts';
import type { InterventionPlan } from './plan.ts';

export interface InterventionPassOptions extends ForwardOptions {
  /** Layers whose feature inputs are captured; default all. Of an original pass, those of all plans are needed. */
  readonly inputLayers?: Iterable<number> | undefined;
}

/** Runs a prompt unchanged, and keeps what `freeze` holds fixed and the feature inputs. */
export async function originalPass(
  replacement: ReplacementModel,
  tokens: ArrayLike<number>,
  freeze: Freeze,
  { inputLayers, ...options }: InterventionPassOptions = {},
): Promise<OriginalPass> {
  const { config } = replacement.model;
  const layers = Array.from({ length: config.n_layers }, (_, layer) => layer);
  const isWanted = (name: HookName): boolean => options.capture?.(name) ?? false;
  const patterns = freeze.patterns
    ? layers.map((layer) => new HeldPattern(replacement.model, layer, tokens.length, replacement.budget))
    : [];
  const held = layers.filter((layer) => freeze.holdsOutput(layer));
  // What a skip adds is told from the change of its input.
  const withSkip = held.filter((layer) => replacement.transcoders.at(layer)?.W_skip);
  const names = new Set<HookName>([
    ...freeze.constantHooks(config).filter((name) => !isPatternHook(name)),
    ...patterns.flatMap(({ hooks }) => hooks),
    ...inputHooks(replacement, inputLayers),
    ...withSkip.map((layer) => replacement.inputHook(layer)),
    ...held.map((layer) => replacement.outputHook(layer)),
  ]);
  const dispose = (): void => patterns.forEach((pattern) => pattern[Symbol.dispose]());
  try {
    const pass = await replacement.forward(tokens, {
      ...options,
      capture: (name) => names.has(name) || isWanted(name),
      afterLayer: (layer, activations) => Promise.resolve(patterns[layer]?.takeFrom(activations, isWanted)),
    });
    return {
      ...pass,
      patterns,
      [Symbol.dispose]() {
        dispose();
        pass[Symbol.dispose]();
      },
    };
  } catch (error) {
    dispose();
    throw error;
  }
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
  original: OriginalPass | undefined,
  { inputLayers, ...options }: InterventionPassOptions = {},
): Promise<ForwardResult> {
  const inputs = inputHooks(replacement, inputLayers);
  const capture = (name: HookName): boolean => inputs.has(name) || (options.capture?.(name) ?? false);
  if (plan.isEmpty) return await replacement.forward(tokens, { ...options, capture });
  const frozen = original && freeze.holdsAnything ? frozenEdits(replacement, original, freeze) : undefined;
  using changes = await FeatureChanges.of(replacement, plan, freeze, {
    first: 0,
    n_pos: tokens.length,
    ignored: replacement.ignoredPositions(tokens),
    ...(needsOriginalInput(plan, freeze) && {
      originalInput: (layer: number) => original!.activations.get<Tensor2D>(replacement.inputHook(layer)),
    }),
  });
  const held = frozen ? composeEdits(frozen.edits, changes.edits) : changes.edits;
  const edits = composeEdits(held, headEdits(replacement, plan.heads, tokens.length));
  return await replacement.forward(tokens, {
    ...options,
    edits,
    capture,
    beforeLayer: frozen ? bothOf(frozen.beforeLayer, changes.beforeLayer) : changes.beforeLayer,
  });
}

/** Holds for a layer what each of the two does. */
function bothOf(
  first: NonNullable<ForwardOptions['beforeLayer']>,
  second: NonNullable<ForwardOptions['beforeLayer']>,
): NonNullable<ForwardOptions['beforeLayer']> {
  return async (layer) => {
    const a = await first(layer);
    try {
      const b = await second(layer);
      return {
        [Symbol.dispose]() {
          a?.[Symbol.dispose]();
          b?.[Symbol.dispose]();
        },
      };
    } catch (error) {
      a?.[Symbol.dispose]();
      throw error;
    }
  };
}

function inputHooks(replacement: ReplacementModel, layers: Iterable<number> | undefined): Set<HookName> {
  const all = replacement.transcoders.layers.map(({ layer }) => layer);
  return new Set(Array.from(layers ?? all, (layer) => replacement.inputHook(layer)));
}

/** Whether `changedPass` needs the original pass. */
export function needsOriginal(plan: InterventionPlan, freeze: Freeze): boolean {
  return !plan.isEmpty && (freeze.holdsAnything || needsOriginalInput(plan, freeze));
}

function needsOriginalInput(plan: InterventionPlan, freeze: Freeze): boolean {
  return freeze.constrained !== null || plan.needsOriginal;
}
