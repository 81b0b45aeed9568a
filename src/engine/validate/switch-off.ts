/** Engine, validation: passes in which features of a graph are switched off together. */
import { UsageError } from '../../errors.ts';
import { plannedChanges } from '../../intervention/compare.ts';
import type { Freeze, OriginalPass } from '../../intervention/freeze.ts';
import { changedPass } from '../../intervention/intervene.ts';
import { InterventionPlan } from '../../intervention/plan.ts';
import { resolveInterventions } from '../../intervention/resolve.ts';
import type { Session } from '../session.ts';

/** An activation that differs by more than this share from the graph's was computed from other weights. */
const SAME_ACTIVATION = 1e-2;

/** A feature of a graph at its position. */
export interface GraphFeature {
  /** As the graph calls it, for messages. */
  readonly id: string;
  readonly layer: number;
  readonly position: number;
  readonly feature: number;
  readonly activation: number;
}

/**
 * The pass without these features, which its caller disposes. Throws `UsageError` for an activation that differs from the graph's.
 * @param original has the inputs of the layers of these features
 */
export async function passWithout(
  { replacement, stopwatch }: Session,
  original: OriginalPass,
  tokens: readonly number[],
  features: readonly GraphFeature[],
  freeze: Freeze,
  options: Parameters<typeof changedPass>[5],
): ReturnType<typeof changedPass> {
  const off = { kind: 'set', value: 0 } as const;
  const changes = features.map(({ layer, feature, position }) => ({
    layer,
    feature,
    pos: position,
    change: off,
  }));
  const { featureCounts } = replacement.transcoders;
  const resolved = resolveInterventions(changes, { featureCounts, n_pos: tokens.length });
  using plan = await InterventionPlan.of(replacement, resolved);
  const planned = await plannedChanges(replacement, plan, original, tokens);
  const before = new Map(planned.map((one) => [`${one.layer}:${one.position}:${one.feature}`, one.before]));
  for (const one of features)
    checkActivation(one, before.get(`${one.layer}:${one.position}:${one.feature}`)!);
  return await stopwatch.time('ablate', () =>
    changedPass(replacement, tokens, plan, freeze, original, options),
  );
}

/** Throws `UsageError` for an activation that the graph's own model and set would not give. */
export function checkActivation(
  { id, activation }: { readonly id: string; readonly activation: number | null },
  found: number,
): void {
  const expected = activation!;
  if (Math.abs(found - expected) <= SAME_ACTIVATION * Math.abs(expected)) return;
  throw new UsageError({
    code: 'other_model',
    message: `the graph says that feature ${id} has activation ${expected}; in this model and set it has ${found}`,
    hint: 'Name the model and the set that the graph was made with: --model, --transcoders.',
  });
}
