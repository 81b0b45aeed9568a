/** Engine: switches one feature of a graph off and measures the effect on one target, to compare it with the edge between them. */
import type { Tensor2D } from '../../backend/backend.ts';
import { plannedChanges } from '../../intervention/compare.ts';
import { Freeze } from '../../intervention/freeze.ts';
import { changedPass, originalPass } from '../../intervention/intervene.ts';
import { InterventionPlan } from '../../intervention/plan.ts';
import { resolveInterventions } from '../../intervention/resolve.ts';
import type { HookName } from '../../model/hooks.ts';
import type { ForwardResult } from '../../model/transformer.ts';
import type { CommonOptions } from '../request.ts';
import type { Session } from '../session.ts';
import { checkActivation } from './switch-off.ts';
import { BEFORE_CAP, checkIsToken, readTarget } from './validate.ts';

export interface AblatedFeature {
  /** As the graph calls it, for messages. */
  readonly id: string;
  readonly layer: number;
  readonly position: number;
  readonly feature: number;
  /** As the graph has it: another one in the model shows that the graph was made with another model. */
  readonly activation: number | null;
}

export type AblationTarget =
  | {
      readonly kind: 'feature';
      readonly layer: number;
      readonly position: number;
      readonly feature: number;
    }
  | { readonly kind: 'logit'; readonly token_id: number };

export interface AblateRequest extends Pick<CommonOptions, 'signal' | 'onProgress'> {
  readonly tokens: readonly number[];
  readonly source: AblatedFeature;
  readonly target: AblationTarget;
}

/** Changes of the target's pre-activation, or of its logit before the cap relative to the mean over the vocabulary. */
export interface MeasuredAblation {
  /** Everything else is held fixed, so that only the edge itself acts. */
  readonly measured: number;
  /** Only attention patterns are held fixed. */
  readonly free: number;
}

/** Throws `UsageError` for a feature whose activation differs from the graph's, and for targets that are not tokens. */
export async function ablateIn(session: Session, request: AblateRequest): Promise<MeasuredAblation> {
  const { n_layers, d_vocab } = session.replacement.model.config;
  if (request.target.kind === 'logit') checkIsToken(request.target.token_id, d_vocab);
  const progress = {
    kind: 'progress',
    phase: 'ablate',
    message: 'Switching the feature off',
    total: 2,
  } as const;
  request.onProgress?.({ ...progress, done: 0 });
  const all = { from: 0, to: n_layers };
  const measured = await changeOf(session, request, new Freeze({ constrainedLayers: all }, n_layers));
  request.onProgress?.({ ...progress, done: 1 });
  const free = await changeOf(session, request, new Freeze({}, n_layers));
  return { measured, free };
}

async function changeOf(session: Session, request: AblateRequest, freeze: Freeze): Promise<number> {
  const { replacement, stopwatch } = session;
  const { tokens, source, target, signal } = request;
  const { featureCounts } = replacement.transcoders;
  const read = target.kind === 'feature' ? [target.layer] : [];
  const options = {
    logits: target.kind === 'logit' ? ('last' as const) : ('none' as const),
    capture: (name: HookName): boolean => target.kind === 'logit' && name === BEFORE_CAP,
    inputLayers: read,
    ...(signal && { signal }),
  };
  const change = { kind: 'set', value: 0 } as const;
  const ablation = resolveInterventions(
    [{ layer: source.layer, feature: source.feature, pos: source.position, change }],
    { featureCounts, n_pos: tokens.length },
  );
  using original = await stopwatch.time('original', () =>
    originalPass(replacement, tokens, freeze, { ...options, inputLayers: [source.layer, ...read] }),
  );
  using plan = await InterventionPlan.of(replacement, ablation);
  const [planned] = await plannedChanges(replacement, plan, original, tokens);
  if (source.activation !== null) checkActivation(source, planned!.before);
  using changed = await stopwatch.time('ablate', () =>
    changedPass(replacement, tokens, plan, freeze, original, options),
  );
  return (await valueOf(session, changed, target)) - (await valueOf(session, original, target));
}

async function valueOf(
  { replacement }: Session,
  pass: ForwardResult,
  target: AblationTarget,
): Promise<number> {
  if (target.kind === 'logit') return (await readTarget(pass, target.token_id)).centred;
  const input = pass.activations.get<Tensor2D>(replacement.inputHook(target.layer));
  const pre = await replacement.transcoders.preActivations(target.layer, input);
  try {
    const values = await pre.data<'float32'>();
    return values[target.position * pre.shape[1] + target.feature]!;
  } finally {
    pre.dispose();
  }
}
