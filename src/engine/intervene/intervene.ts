/** Engine, verb `intervene`: features get other activations, and what changes is compared with the original pass. */
import { ExpectationError } from '../../errors.ts';
import type { Tensor2D } from '../../backend/backend.ts';
import { writeSafetensors, type TensorToWrite } from '../../formats/safetensors-writer.ts';
import { changedFeatures, plannedChanges } from '../../intervention/compare.ts';
import { changedPass, originalPass } from '../../intervention/intervene.ts';
import { observeFeatures, observePreActivations } from '../../intervention/observe.ts';
import type { ActivationCache } from '../../model/activation-cache.ts';
import type { HookName } from '../../model/hooks.ts';
import { BEFORE_UNEMBEDDING } from '../../model/logit-blocks.ts';
import type { ForwardResult } from '../../model/transformer.ts';
import type { ActiveFeatures, ReplacementModel } from '../../replacement/replacement-model.ts';
import { checkExpectation, effectOf, tokenChanges, unmet } from './effect.ts';
import { headChangeEffects } from './head-effects.ts';
import { checkInterventions, frozenResult, planInterventions } from './prepare.ts';
import {
  INTERVENE_DEFAULTS,
  type FeatureChangeResult,
  type InterveneRequest,
  type InterveneResult,
} from './types.ts';
import { blockNumbers, compareLogits } from '../logit-numbers.ts';
import { inTemplate, noteChat } from '../chat.ts';
import { notePrompts } from '../prompt-notes.ts';
import type { CommonOptions } from '../request.ts';
import type { SavedFileResult, TokenResult } from '../result.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';

/**
 * Loads what the request names and intervenes. Throws `UsageError` for interventions that do not fit, `ExpectationError`
 * when an expectation was not met; requested files are written before expectations are checked.
 */
export async function intervene(request: InterveneRequest): Promise<InterveneResult> {
  using session = await openSession(request);
  return await interveneIn(session, request);
}

/** As `intervene`, in a session that is loaded already. */
export async function interveneIn(session: Session, request: InterveneRequest): Promise<InterveneResult> {
  const { replacement, tokenizer, stopwatch } = session;
  const { signal, onProgress } = request;
  const input = await inTemplate(request.input, session.subject.model.files, tokenizer);
  const tokens = session.prompts.passTokens(input);
  const chat = noteChat(input, tokens, tokenizer, onProgress);
  const noted = notePrompts([{ input, tokens }], session.prompts, onProgress);
  const expectation = checkExpectation(request, tokenizer);
  const checked = checkInterventions(session, tokens.length, request, onProgress);
  using plan = await planInterventions(session, checked);
  const nFeatures = request.features ?? INTERVENE_DEFAULTS.features;
  const isObserved = nFeatures > 0 || request.output !== undefined;
  const options = {
    logits: 'none' as const,
    capture: (name: HookName): boolean => name === BEFORE_UNEMBEDDING,
    ...(!isObserved && { inputLayers: plan.inputLayers }),
    ...(signal && { signal }),
  };
  onProgress?.({
    kind: 'progress',
    phase: 'forward',
    message: `Running ${tokens.length} tokens, unchanged and changed`,
  });
  using original = await stopwatch.time('original', () =>
    originalPass(replacement, tokens, checked.freeze, options),
  );
  using changed = await stopwatch.time('changed', () =>
    changedPass(replacement, tokens, plan, checked.freeze, original, options),
  );
  const { model } = replacement;
  const unembedded = (pass: ForwardResult) => pass.activations.get<Tensor2D>(BEFORE_UNEMBEDDING);
  const { before, after, largestChange } = await stopwatch.time('logits', () =>
    compareLogits(model, [unembedded(original), unembedded(changed)], { signal }),
  );
  await session.checkFinite(before, 'the logits');
  await session.checkFinite(after, 'the logits after the intervention');
  const interventions = await plannedChanges(replacement, plan, original, tokens);
  warnIdle(interventions, onProgress);

  const observed = { ignored: replacement.ignoredPositions(tokens), signal };
  const seen = (pass: ForwardResult): Promise<ActiveFeatures> =>
    stopwatch.time('encode', () => observeFeatures(replacement, pass.activations, observed));
  const features = nFeatures > 0 ? changedFeatures(await seen(original), await seen(changed), nFeatures) : [];

  const files: SavedFileResult[] = [];
  if (request.output !== undefined) {
    const tensors: TensorToWrite[] = [
      {
        name: 'logits',
        dtype: 'F32',
        shape: [tokens.length, model.config.d_vocab],
        data: () => blockNumbers(model, unembedded(changed), 'logits', { signal }),
      },
      ...(await observedTensors(replacement, changed.activations, request.preActivations ?? false, observed)),
    ];
    await writeSafetensors(request.output, tensors, {}, { signal });
    files.push(await writtenFile(request.output));
  }
  const effect = effectOf(before, after, Math.max(1, request.top ?? INTERVENE_DEFAULTS.top), tokenizer);
  const failure = unmet(expectation, effect.top[0]!);
  if (failure !== null) throw new ExpectationError({ code: 'unexpected_token', message: failure });
  const changes = tokenChanges(before, after, effect);
  const { heads } = checked;
  const ids = request.effectTokens ?? changes.map(({ token_id }) => token_id);
  // Predictions are of heads alone.
  const effects =
    heads.changes.length === 0 || plan.interventions.length > 0
      ? null
      : await stopwatch.time('heads', () =>
          headChangeEffects(session, tokens, heads, ids, { original, changed }, signal),
        );
  return {
    ...session.description,
    ...noted,
    ...chat,
    ...frozenResult(checked.freeze),
    tokens: tokenResults(session, tokens),
    interventions,
    ...(heads.changes.length > 0 && { heads: { ...heads, effects } }),
    ...effect,
    changes,
    max_abs_logit_change: largestChange,
    features,
    files,
    timings_ms: stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

/** Features computed from the inputs of the transcoders, as tensors of a file. */
export async function observedTensors(
  replacement: ReplacementModel,
  activations: ActivationCache,
  preActivations: boolean,
  options: { readonly ignored: number; readonly signal?: AbortSignal | undefined },
): Promise<TensorToWrite[]> {
  if (preActivations) {
    const { values, shape } = await observePreActivations(replacement, activations, options);
    return [{ name: 'pre_activations', dtype: 'F32', shape, data: values }];
  }
  const { indices, values } = await observeFeatures(replacement, activations, options);
  return [
    { name: 'activation_indices', dtype: 'I32', shape: [values.length, 3], data: indices },
    { name: 'activation_values', dtype: 'F32', shape: [values.length], data: values },
  ];
}

export function tokenResults({ tokenizer }: Session, tokens: readonly number[]): TokenResult[] {
  const texts = tokenizer.tokenStrings(tokens);
  return tokens.map((id, position) => ({ position, id, text: texts[position]! }));
}

/** Warns that scaling an inactive feature, or setting one to its present value, has no effect. */
export function warnIdle(
  interventions: readonly FeatureChangeResult[],
  onProgress: CommonOptions['onProgress'],
): void {
  const isIdle = interventions.length > 0 && interventions.every(({ before, after }) => before === after);
  if (!isIdle) return;
  const { layer, position, feature, before } = interventions[0]!;
  const why = position === 0 ? 'position 0 counts as inactive' : `its activation is ${before} already`;
  onProgress?.({
    kind: 'warning',
    message: `nothing is changed: ${layer}:${position}:${feature} stays as it is, ${why}`,
  });
}
