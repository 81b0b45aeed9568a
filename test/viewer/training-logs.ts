/** Logs of trainings, as `tracer train` writes them, without a training. */
import type { StepEvent, TrainEvent } from '../../src/trainer/log.ts';

export const TOKENS = 20_480;
const BATCH = 2048;

export function step(n: number, layers = [0, 1], pass = 1): StepEvent {
  return {
    event: 'step',
    pass,
    step: n,
    tokens: n * BATCH,
    tokens_total: TOKENS,
    tokens_per_second: 1000,
    learning_rate: 1e-3,
    loss: 2 / n,
    layers: layers.map((layer) => ({
      layer,
      explained_variance: 0.5 + 0.02 * n - 0.1 * layer,
      l0: 32,
      dead_share: 0.01 * n,
    })),
  };
}

export function begin(layers = [0, 1], passes: readonly (readonly number[])[] = [layers]): TrainEvent {
  return {
    event: 'begin',
    passes,
    record: {
      modelName: 'owner/model',
      identity: { model: 'owner/model', corpus: '' },
      layersOfSet: [...layers],
      context: 256,
      corpus: ['corpus.txt'],
    },
    recipe: {
      kind: 'per-layer',
      activation: 'topk',
      k: 32,
      l0: 32,
      hasSkip: false,
      d_transcoder: 512,
      layers,
      feature_input_hook: 'mlp.hook_in',
      feature_output_hook: 'mlp.hook_out',
      tokens: TOKENS,
      batchTokens: BATCH,
      optimizer: 'adam',
      learningRate: 1e-3,
      warmup: 0.05,
      decay: 0.5,
      seed: 0,
      dtype: 'float32',
      hasUnitDecoder: false,
      auxiliaryWeight: 1 / 32,
      deadAfterTokens: 1000,
    },
  };
}

export function heldOut(tokens: number): TrainEvent {
  const layers = [0, 1].map((layer) => ({
    layer,
    explained_variance: 0.61,
    cosine: 0.8,
    l0: 31,
    never_active_share: 0.1,
  }));
  return { event: 'held_out', pass: 1, tokens, layers };
}

export function logText(events: readonly TrainEvent[]): string {
  return events.map((event) => `${JSON.stringify({ time: '2026-01-01T00:00:00Z', ...event })}\n`).join('');
}

export const END: TrainEvent = { event: 'end', n_tokens: TOKENS, ended_early: false };
