/**
 * Evaluation, the room's entry: a corpus is read twice, batch by batch. The first time features are in place of MLPs, all and one layer
 * at a time, and the sums over what they rebuild are taken; the second time the means that are known then.
 */
import { SaveInterval } from '../features/save-interval.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { batchOf } from '../training/batch.ts';
import { fidelityOf, type LayerFidelity } from './layer-sums.ts';
import { inputTrials, type InputTrial } from './input-trials.ts';
import { FeatureOutputs, MeanOutputs, type CheckFinite } from './outputs.ts';
import { predictionSums, type PredictionSums } from './predictions.ts';
import { StackedPass } from './stacked-pass.ts';
import type { EvaluationState } from './state.ts';
import { replacedStreams, type OutputsInstead, type ReplacedLayers } from './streams.ts';
import { CORPUS_START, windowBatches, type ReadingPlace, type WindowSource } from './windows.ts';

export interface EvaluationOptions {
  readonly replacement: ReplacementModel;
  readonly source: WindowSource;
  /** Layers that are replaced one at a time. */
  readonly alone: readonly number[];
  readonly checkFinite: CheckFinite;
  readonly signal?: AbortSignal | undefined;
  readonly onRead?: (phase: 'features' | 'means', place: ReadingPlace) => void;
  readonly onNote?: (message: string) => void;
}

/** Losses are means over predictions, in nats. */
export interface Losses {
  readonly n_predictions: number;
  readonly original: number;
  readonly all: ReplacedLoss;
  /** By layer. */
  readonly alone: ReadonlyMap<number, ReplacedLoss>;
}

export interface ReplacedLoss {
  readonly replaced: number;
  readonly meanAblated: number;
  readonly divergence: number;
}

export interface EvaluationOutcome {
  readonly place: ReadingPlace;
  readonly layers: readonly LayerFidelity[];
  readonly losses: Losses;
  /** Of layers that are badly rebuilt; empty where none is. */
  readonly trials: readonly InputTrial[];
}

/** Below it, other inputs are tried. */
export const SUSPICIOUS_VARIANCE = 0.5;

/**
 * Goes on from `state`, and leaves it where the signal interrupts; whoever made it removes it. Throws what reading the corpus, passes and
 * writing the state throw, and the reason of the signal.
 */
export async function evaluateSet(
  state: EvaluationState,
  options: EvaluationOptions,
): Promise<EvaluationOutcome> {
  const { replacement, source, signal } = options;
  const checkpoints = new SaveInterval(() => state.save());
  try {
    if (state.progress.phase === 'features') {
      await readAll(state, checkpoints, options, 'features');
      const end = state.progress.place;
      state.progress = { ...state.progress, phase: 'means', place: CORPUS_START };
      if (end.n_tokens > 0) await checkpoints.saveWhenDue();
    }
    if (state.progress.phase === 'means') {
      await readAll(state, checkpoints, options, 'means');
      state.progress = { ...state.progress, phase: 'done' };
    }
  } catch (error) {
    if (signal?.aborted && error === signal.reason && state.path !== null) {
      await state.save();
      options.onNote?.(`What was measured so far is kept in ${state.path}; --resume continues with it`);
    }
    throw error;
  }
  const layers = state.layers.map(fidelityOf);
  const isSuspicious = layers.some(({ explained_variance: ev }) => ev !== null && ev < SUSPICIOUS_VARIANCE);
  return {
    place: state.progress.place,
    layers,
    losses: lossesOf(state),
    trials: isSuspicious ? await inputTrials(replacement, source, signal) : [],
  };
}

async function readAll(
  state: EvaluationState,
  checkpoints: SaveInterval,
  options: EvaluationOptions,
  phase: 'features' | 'means',
): Promise<void> {
  const { replacement, source, alone, checkFinite, signal } = options;
  const sums = new Map(state.layers.map((layer) => [layer.layer, layer]));
  const layers: ReplacedLayers = { all: new Set(sums.keys()), alone: new Set(alone) };
  const add = phase === 'features' ? addFeatureLosses : addMeanLosses;
  options.onRead?.(phase, state.progress.place);
  for await (const { rows, next } of windowBatches(source, state.progress.place)) {
    signal?.throwIfAborted();
    const batch = batchOf(rows, source.n_ignored);
    using pass = new StackedPass(replacement, batch, signal);
    const isCompared = phase === 'features';
    const instead: OutputsInstead = isCompared
      ? new FeatureOutputs(pass, sums, checkFinite)
      : new MeanOutputs(batch.inner.length, sums);
    const found = await lossesOfBatch(pass, layers, instead, { isCompared, checkFinite });
    add(state, found, batch.places.length);
    state.progress = { ...state.progress, place: next };
    options.onRead?.(phase, next);
    await checkpoints.saveWhenDue();
  }
}

interface BatchLosses {
  readonly all: PredictionSums;
  readonly alone: readonly (readonly [layer: number, sums: PredictionSums])[];
  /** With features alone, whose predictions are compared with it. */
  readonly original?: PredictionSums;
}

async function lossesOfBatch(
  pass: StackedPass,
  layers: ReplacedLayers,
  instead: OutputsInstead,
  { isCompared, checkFinite }: { readonly isCompared: boolean; readonly checkFinite: CheckFinite },
): Promise<BatchLosses> {
  using streams = await replacedStreams(pass, layers, instead);
  const { model } = pass.replacement;
  const residuals = [...(isCompared ? [streams.original] : []), streams.all, ...streams.alone.values()];
  const sums = await predictionSums(model, pass.batch, residuals, { isCompared, signal: pass.signal });
  await checkFinite(
    Float32Array.from(sums, ({ crossEntropy }) => crossEntropy),
    'the losses',
  );
  const [all, ...alone] = isCompared ? sums.slice(1) : sums;
  return {
    all: all!,
    alone: [...streams.alone.keys()].map((layer, i) => [layer, alone[i]!] as const),
    ...(isCompared && { original: sums[0]! }),
  };
}

function addFeatureLosses(state: EvaluationState, found: BatchLosses, n: number): void {
  const { progress } = state;
  const alone = { ...progress.alone };
  for (const [layer, sums] of found.alone) {
    alone[layer] = plus(alone[layer] ?? { crossEntropy: 0, divergence: 0 }, sums);
  }
  state.progress = {
    ...progress,
    n_predictions: progress.n_predictions + n,
    original: progress.original + found.original!.crossEntropy,
    all: plus(progress.all, found.all),
    alone,
  };
}

function plus(a: PredictionSums, b: PredictionSums): PredictionSums {
  return { crossEntropy: a.crossEntropy + b.crossEntropy, divergence: a.divergence + b.divergence };
}

function addMeanLosses(state: EvaluationState, found: BatchLosses): void {
  const { progress } = state;
  const meansAlone = { ...progress.meansAlone };
  for (const [layer, { crossEntropy }] of found.alone) {
    meansAlone[layer] = (meansAlone[layer] ?? 0) + crossEntropy;
  }
  state.progress = { ...progress, meansAll: progress.meansAll + found.all.crossEntropy, meansAlone };
}

function lossesOf({ progress }: EvaluationState): Losses {
  const { n_predictions: n, original, all, alone, meansAll, meansAlone } = progress;
  const mean = ({ crossEntropy, divergence }: PredictionSums, means: number): ReplacedLoss => ({
    replaced: crossEntropy / n,
    meanAblated: means / n,
    divergence: divergence / n,
  });
  return {
    n_predictions: n,
    original: original / n,
    all: mean(all, meansAll),
    alone: new Map(Object.entries(alone).map(([l, sums]) => [Number(l), mean(sums, meansAlone[l]!)])),
  };
}
