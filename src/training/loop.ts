/** Training: the loop that all trainings share. Gradient, step, log, checkpoint. */
import * as tf from '@tensorflow/tfjs-core';
import { AdamW, type AdamWOptions } from './adamw.ts';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import type { Variables } from './parameters.ts';
import type { Random } from '../random.ts';
import { learningRate } from './schedule.ts';

/** One line of the curve. */
export interface StepRecord {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly seconds: number;
  /** What a training measures beside its loss. */
  readonly measures: Readonly<Record<string, number>>;
}

export interface LoopOptions {
  readonly steps: number;
  /** Highest learning rate. */
  readonly peakRate: number;
  readonly optimizer: AdamWOptions;
  /** File that the state is kept in; an interrupted run continues from it. */
  readonly checkpoint?: string;
  /** Steps between two checkpoints; default 100. */
  readonly checkpointEvery?: number;
  /** What the work of a step draws from. Its state is kept in the checkpoint, so that a resumed run repeats the draws. */
  readonly random?: Random;
  /** Called before the first step with the number of steps in the checkpoint; later steps that were logged are done again. */
  readonly onBegin?: (done: number) => void | Promise<void>;
  readonly onStep?: (record: StepRecord) => void;
  readonly signal?: AbortSignal;
}

/** What one step computes. */
export interface StepWork {
  /** Runs in a tidy. */
  readonly loss: () => tf.Scalar;
  /** Runs after the parameters have changed; may change some itself. Returns what is to be logged. */
  readonly after?: (optimizer: AdamW) => Promise<Record<string, number>>;
}

const DEFAULT_CHECKPOINT_EVERY = 100;

/**
 * Takes `steps` steps. `prepare` is called for every step, also for those that a resumed run skips, so that draws from
 * its own sources stay the same; the work it returns is done only for the others. A run that was interrupted at any moment
 * and resumed gives the same bytes as one that was not. Throws the reason of `signal`.
 */
export async function descend(
  variables: Variables,
  prepare: (step: number) => () => StepWork,
  options: LoopOptions,
): Promise<void> {
  const { steps, peakRate, checkpoint, random, onBegin, onStep, signal } = options;
  const checkpointEvery = options.checkpointEvery ?? DEFAULT_CHECKPOINT_EVERY;
  const { parameters } = variables;
  const optimizer = new AdamW(options.optimizer);
  const state = { parameters, optimizer, random };
  const resumed = checkpoint ? await loadCheckpoint(checkpoint, steps, state) : null;
  const done = resumed?.done ?? 0;
  await onBegin?.(done);
  for (let step = 0; step < done; step++) prepare(step);
  if (random && resumed) random.state = resumed.randomState!;
  variables.refill();
  for (let step = done; step < steps; step++) {
    const begin = prepare(step);
    signal?.throwIfAborted();
    const start = performance.now();
    const { loss, after } = begin();
    const { value, gradients } = await variables.gradients(loss);
    if (!Number.isFinite(value))
      throw new Error(`the loss is ${value} at step ${step}: the training has diverged`);
    const rate = learningRate(step, steps, peakRate);
    const gradientNorm = optimizer.step(parameters, gradients, rate);
    const measures = (await after?.(optimizer)) ?? {};
    variables.refill();
    const seconds = (performance.now() - start) / 1000;
    onStep?.({ step: step + 1, steps, loss: value, gradientNorm, learningRate: rate, seconds, measures });
    const isLast = step + 1 === steps;
    if (checkpoint && (isLast || (step + 1) % checkpointEvery === 0))
      await saveCheckpoint(checkpoint, step + 1, steps, state);
  }
}
