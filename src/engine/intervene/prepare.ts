/** Engine: prepares interventions for a prompt: checks, warnings about likely mistakes, then reading the vectors. */
import { Freeze } from '../../intervention/freeze.ts';
import { addressText, type Intervention } from '../../intervention/intervention.ts';
import { resolveHeads } from '../../intervention/head-change.ts';
import type { HeadChanges } from '../../intervention/head-edits.ts';
import { InterventionPlan } from '../../intervention/plan.ts';
import { overruled, resolveInterventions, type ResolvedIntervention } from '../../intervention/resolve.ts';
import { supernodeInterventions } from '../../intervention/supernodes.ts';
import type { FrozenResult, InterventionChoice } from './types.ts';
import type { CommonOptions } from '../request.ts';
import type { Session } from '../session.ts';

/** Checked interventions: nothing was fetched yet. */
export interface CheckedInterventions {
  readonly resolved: readonly ResolvedIntervention[];
  readonly freeze: Freeze;
  readonly heads: HeadChanges;
}

type Listener = CommonOptions['onProgress'];

/** Further warnings of one kind are only counted. */
const MOST_WARNINGS = 3;

/**
 * Throws `UsageError` for everything that does not fit the model or the prompt.
 * @param n_generated tokens that open ranges may wait for
 */
export function checkInterventions(
  session: Session,
  n_pos: number,
  choice: InterventionChoice,
  onProgress: Listener,
  n_generated = 0,
): CheckedInterventions {
  const { featureCounts } = session.replacement.transcoders;
  const { n_layers } = session.replacement.model.config;
  const freeze = new Freeze(choice, n_layers);
  const all: Intervention[] = [];
  for (const supernode of choice.supernodes ?? []) {
    const { interventions, others } = supernodeInterventions(supernode, n_layers);
    for (const one of interventions) all.push(one);
    if (others.length > 0) {
      const ids = others.join(', ');
      onProgress?.({
        kind: 'warning',
        message: `supernode '${supernode.name}': ids that are not features are ignored: ${ids}`,
      });
    }
  }
  for (const one of choice.interventions ?? []) all.push(one);
  const { renormalize = false } = choice;
  const changes = resolveHeads(choice.heads ?? [], session.replacement.model.config, n_pos);
  const resolved = resolveInterventions(all, { featureCounts, n_pos, n_generated });
  const lost = overruled(resolved);
  for (const one of lost.slice(0, MOST_WARNINGS)) {
    const address = addressText(all[resolved.indexOf(one)]!);
    onProgress?.({ kind: 'warning', message: `${address} is named more than once: the last one counts` });
  }
  if (lost.length > MOST_WARNINGS) {
    onProgress?.({ kind: 'warning', message: `and ${lost.length - MOST_WARNINGS} more are named twice` });
  }
  warnOutside(session, resolved, freeze, onProgress);
  return { resolved, freeze, heads: { changes, renormalize } };
}

/** Fetches what the interventions need. Dispose it, or take it with `using`. */
export async function planInterventions(
  session: Session,
  { resolved, heads }: CheckedInterventions,
): Promise<InterventionPlan> {
  return await session.stopwatch.time('plan', () =>
    InterventionPlan.of(session.replacement, resolved, heads),
  );
}

export function frozenResult({ constrained, patterns }: Freeze): FrozenResult {
  return {
    freeze_attention: patterns,
    constrained_layers: constrained && [constrained.from, constrained.to],
  };
}

/** A feature that writes into no constrained layer has no effect. */
function warnOutside(
  { replacement }: Session,
  resolved: readonly ResolvedIntervention[],
  freeze: Freeze,
  onProgress: Listener,
): void {
  const { transcoders } = replacement;
  const reaches = (layer: number): boolean => {
    for (let written = layer; written <= transcoders.lastLayerWritten(layer); written++)
      if (freeze.receives(written)) return true;
    return false;
  };
  const idle = [...new Set(resolved.map(({ layer }) => layer))].filter((layer) => !reaches(layer));
  if (idle.length === 0) return;
  onProgress?.({
    kind: 'warning',
    message: `features of layer ${idle.join(', ')} write into no constrained layer: changing them does nothing`,
  });
}
