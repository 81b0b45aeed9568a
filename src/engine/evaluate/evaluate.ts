/** Engine, verb `evaluate`: how good a set is for a model, over a corpus. */
import { UsageError } from '../../errors.ts';
import { diagnose, shown } from '../../evaluation/diagnosis.ts';
import { evaluateSet, type EvaluationOutcome } from '../../evaluation/evaluate.ts';
import { quotient } from '../../evaluation/layer-sums.ts';
import type { Corpus } from '../../features/corpus.ts';
import type { TransformerConfig } from '../../model/config.ts';
import { contextOf } from '../features/context.ts';
import { requireSet } from '../opened-subject.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes, Stopwatch } from '../stopwatch.ts';
import { noTokens, openCorpora, totalBytes } from './corpora.ts';
import { checkExpectations } from './expectations.ts';
import { openState } from './state-file.ts';
import {
  EVALUATE_DEFAULTS,
  type EvaluateRequest,
  type EvaluateResult,
  type EvaluatedLayer,
} from './types.ts';

/**
 * Loads what the request names and measures it. Throws `UsageError` for `--transcoders none` and for layers and lengths that do not
 * exist, `BadFileError` for a corpus without text and for numbers that are not finite, `ExpectationError` when an expectation was
 * not met, and the reason of the signal.
 */
export async function evaluate(request: EvaluateRequest): Promise<EvaluateResult> {
  requireSet(request);
  using corpora = await openCorpora(request.corpus);
  using session = await openSession(request, {
    preloadEncoders: true,
    check: ({ config, set }) => {
      contextOf(request.context, EVALUATE_DEFAULTS.context, config);
      layersOf(request, config, set);
    },
  });
  return await evaluateCorpora(session, request, corpora.all);
}

/** As `evaluate`, in a session that is loaded already. */
export async function evaluateIn(session: Session, request: EvaluateRequest): Promise<EvaluateResult> {
  using corpora = await openCorpora(request.corpus);
  return await evaluateCorpora(session, request, corpora.all);
}

async function evaluateCorpora(
  session: Session,
  request: EvaluateRequest,
  corpora: readonly Corpus[],
): Promise<EvaluateResult> {
  const { replacement, tokenizer, description } = session;
  const { config } = replacement.model;
  const { transcoders } = replacement;
  const context = contextOf(request.context, EVALUATE_DEFAULTS.context, config);
  const alone = layersOf(request, config, transcoders);
  const state = await openState(session, request, { corpora, context, alone });
  const n_resumed_tokens = state.progress.place.n_tokens;
  const source = {
    corpora,
    tokenizer,
    bosId: session.prompts.bosId,
    context,
    n_ignored: session.prompts.rule.n_ignored,
    maxTokens: request.tokens,
  };
  const stopwatch = new Stopwatch();
  const phases = stopwatch.phases(state.progress.phase);
  let phase: string = state.progress.phase;
  const outcome = await evaluateSet(state, {
    replacement,
    source,
    alone,
    checkFinite: (values, what) => session.checkFinite(values, what),
    signal: request.signal,
    onNote: (message) => request.onProgress?.({ kind: 'note', message }),
    onRead: (now, { file, place, n_tokens }) => {
      if (now !== phase) phases.next(now);
      phase = now;
      const readBytes = corpora.slice(0, file).reduce((sum, { bytes }) => sum + bytes, place.offset);
      request.onProgress?.({
        kind: 'progress',
        phase: now,
        message: now === 'features' ? 'Replacing MLPs by their features' : 'Replacing MLPs by their means',
        ...(request.tokens === undefined
          ? { done: readBytes, total: totalBytes(corpora), unit: 'bytes' as const }
          : { done: n_tokens, total: request.tokens }),
      });
    },
  });
  phases.end();
  await state.remove();
  if (outcome.place.n_tokens === 0) throw noTokens(request.corpus);
  const { n_documents, n_windows, n_tokens } = outcome.place;
  const result: EvaluateResult = {
    ...description,
    corpus: request.corpus,
    feature_input_hook: transcoders.config.feature_input_hook,
    feature_output_hook: transcoders.config.feature_output_hook,
    context,
    n_documents,
    n_windows,
    n_tokens,
    n_predictions: outcome.losses.n_predictions,
    n_resumed_tokens,
    ...measures(outcome),
    ...(outcome.trials.length > 0 && {
      input_trials: outcome.trials.map(({ hook, isTransposed, explained }) => ({
        hook,
        transposed: isTransposed,
        layers: [...explained].map(([layer, explained_variance]) => ({ layer, explained_variance })),
      })),
    }),
    diagnosis: diagnose({
      layers: outcome.layers,
      trials: outcome.trials,
      inputHook: transcoders.config.feature_input_hook,
      namedModel: transcoders.config.model_name,
      model: description.model,
      fileOf: (layer) => transcoders.at(layer)!.source.W_enc.file.name,
    }),
    warnings: warningsOf(request, outcome),
    timings_ms: { ...session.stopwatch.timings_ms, ...stopwatch.timings_ms },
    peak_rss_bytes: peakRssBytes(),
  };
  for (const message of [...result.diagnosis, ...result.warnings]) {
    request.onProgress?.({ kind: 'warning', message });
  }
  checkExpectations(request, result);
  return result;
}

function measures({ layers, losses }: EvaluationOutcome): Pick<EvaluateResult, 'layers' | 'all'> {
  const numbers = (replaced: number, meanAblated: number, kl: number) => ({
    ce_replaced: orNull(replaced),
    ce_mean_ablated: orNull(meanAblated),
    ce_recovered: quotient(meanAblated - replaced, meanAblated - losses.original),
    kl: orNull(kl),
  });
  const of = ({ replaced, meanAblated, divergence }: EvaluationOutcome['losses']['all']) =>
    numbers(replaced, meanAblated, divergence);
  return {
    layers: layers.map(({ best_scale: _s, explained_at_best_scale: _e, ...fidelity }): EvaluatedLayer => {
      const alone = losses.alone.get(fidelity.layer);
      return { ...fidelity, ...(alone ? of(alone) : numbers(NaN, NaN, NaN)) };
    }),
    all: { ce_clean: orNull(losses.original), ...of(losses.all) },
  };
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function warningsOf({ tokens }: EvaluateRequest, { place, losses }: EvaluationOutcome): string[] {
  const { meanAblated } = losses.all;
  return [
    ...(tokens !== undefined && place.n_tokens < tokens
      ? [`The corpus has only ${place.n_tokens} tokens to measure; ${tokens} were asked for.`]
      : []),
    ...(meanAblated <= losses.original
      ? [
          `With the mean in place of every MLP the loss is ${shown(meanAblated)}, not higher than the model's own ${shown(losses.original)}: the share of it that is recovered says nothing here. Is this text that the model knows?`,
        ]
      : []),
  ];
}

/** Layers that are replaced alone, ascending. */
function layersOf(
  { layers }: EvaluateRequest,
  { n_layers }: TransformerConfig,
  set: { readonly layers: readonly { readonly layer: number }[] },
): number[] {
  const own = set.layers.map(({ layer }) => layer);
  const wrong = layers?.find((layer) => !own.includes(layer));
  if (wrong === undefined) return layers ? [...new Set(layers)].sort((a, b) => a - b) : own;
  const isOfModel = Number.isInteger(wrong) && wrong >= 0 && wrong < n_layers;
  throw new UsageError({
    code: 'out_of_range',
    message: isOfModel
      ? `--layers: the set has no transcoder for layer ${wrong}`
      : `--layers: the model has no layer ${wrong}; it has ${n_layers}, from 0 to ${n_layers - 1}`,
    hint: 'Give layers of the set, such as 0-5,9, or none; all are replaced together in any case.',
  });
}
