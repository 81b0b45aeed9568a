/** Trainer: the passes of a training: the coders of a pass, step by step, until its files are written. */
import * as tf from '@tensorflow/tfjs-core';
import { join } from 'node:path';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { BadFileError } from '../errors.ts';
import { steadyRate } from '../training/schedule.ts';
import { BatchFeed, type Batch } from './batches.ts';
import {
  NO_PROGRESS,
  restoreCoders,
  saveCheckpoint,
  type Normalisations,
  type TrainProgress,
} from './checkpoint.ts';
import { Coder } from './coder.ts';
import { folded, writeCoder } from './export.ts';
import type { LayerBatch } from './gradients.ts';
import { measureHeldOut, type HeldOutReport } from './held-out.ts';
import type { StepEvent, TrainLog } from './log.ts';
import { layerBatches, normalisationOf, normalised } from './normalisation.ts';
import { checkpointFile, STATE_FOLDER, type SourceState, type TrainOptions } from './options.ts';
import { writtenLayers } from './plan.ts';
import { missingOf, revive, REVIVING_SHARE } from './revive.ts';
import { stepTogether, type LayerReport } from './step.ts';

export class Run {
  readonly #options: TrainOptions;
  readonly #log: TrainLog;
  progress: TrainProgress;
  heldOut: HeldOutReport[] = [];
  n_steps = 0;

  constructor(options: TrainOptions, log: TrainLog, progress: TrainProgress) {
    this.#options = options;
    this.#log = log;
    this.progress = progress;
  }

  async pass(pass: number): Promise<void> {
    const { recipe, plan, n_layers, d_model, folder } = this.#options;
    const layers = plan.passes[pass]!;
    const coders: Coder[] = [];
    try {
      for (const layer of layers)
        coders.push(new Coder(recipe, layer, d_model, writtenLayers(recipe, layer, n_layers)));
      const trained = await this.#train(pass, coders);
      const files: string[] = [];
      for (const coder of coders) {
        const written = await folded(coder, recipe, trained.normalisations);
        for (const file of await writeCoder(folder, written, recipe)) files.push(file);
      }
      await this.#log.write({ event: 'written', pass: pass + 1, files });
      this.n_steps += this.progress.step;
      const { endedEarly, n_tokens } = this.progress;
      this.progress = { ...NO_PROGRESS, passes: pass + 1, endedEarly, n_tokens };
      await this.#save([], new Map());
    } finally {
      for (const coder of coders) coder[Symbol.dispose]();
    }
  }

  async #train(pass: number, coders: readonly Coder[]): Promise<{ normalisations: Normalisations }> {
    const { recipe, plan, signal, source, isShuffled, evaluateEvery } = this.#options;
    const layers = plan.passes[pass]!;
    const { feed: state } = this.progress;
    const isResumed = state !== null;
    this.#began = { tokens: state?.n_tokens ?? 0, atMs: performance.now() };
    const feed = new BatchFeed<SourceState>(
      source(layers, state?.source),
      { batchTokens: recipe.batchTokens, isShuffled, tokens: recipe.tokens },
      state ?? { random: recipe.seed >>> 0, n_tokens: 0, given: 0 },
    );
    const normalisations = isResumed
      ? await restoreCoders(checkpointFile(this.#options.folder), this.progress, coders)
      : await this.#begin(feed, coders);
    if (!isResumed) await this.#log.write({ event: 'pass', pass: pass + 1, layers });
    const groups = recipe.kind === 'cross-layer' ? [coders] : coders.map((coder) => [coder]);
    const measure = async (tokens: number): Promise<HeldOutReport[]> => {
      const { sparse, heldOut } = this.#options;
      const reports = await measureHeldOut(groups, heldOut(layers), { sparse, recipe, normalisations });
      await this.#log.write({ event: 'held_out', pass: pass + 1, tokens, layers: reports });
      return reports;
    };
    const save = async (): Promise<void> => {
      this.progress = { ...this.progress, feed: feed.state };
      await this.#save(coders, normalisations);
    };
    let savedMs = performance.now();
    // A corpus or a model that cannot be read on, as without a network, leaves coders as the last step made them.
    let isReading = false;
    const read = async (): Promise<Batch | null> => {
      isReading = true;
      const batch = await feed.next();
      isReading = false;
      return batch;
    };
    try {
      for (let batch = await read(); batch; batch = await read()) {
        const tokens = batch.n_before + batch.places.length;
        await this.#step(pass, groups, batch, normalisations);
        if (evaluateEvery !== null && tokens - this.progress.evaluatedAt >= evaluateEvery) {
          await measure(tokens);
          this.progress = { ...this.progress, evaluatedAt: tokens };
        }
        if (performance.now() - savedMs > this.#options.checkpointEveryMs) {
          await save();
          savedMs = performance.now();
        }
        await yieldToEventLoop();
        signal?.throwIfAborted();
      }
    } catch (error) {
      const isStopped = signal?.aborted && error === signal.reason;
      if ((isStopped || isReading) && this.progress.step > 0) {
        await save();
        this.#options.onNote?.(
          `What was trained so far is kept in ${join(this.#options.folder, STATE_FOLDER)}; --resume continues with it`,
        );
      }
      throw error;
    }
    const { n_tokens } = feed.state;
    this.progress = { ...this.progress, n_tokens };
    if (n_tokens < recipe.tokens) await this.#endedEarly(pass, n_tokens);
    for (const report of await measure(n_tokens)) this.heldOut.push(report);
    return { normalisations };
  }

  /** Before the first step of a pass, from the activations of its first block. */
  async #begin(feed: BatchFeed<SourceState>, coders: readonly Coder[]): Promise<Normalisations> {
    const { recipe, d_model } = this.#options;
    const block = await feed.first();
    if (!block) {
      throw new BadFileError({
        code: 'empty_corpus',
        message: 'the corpus has no row of tokens to train on',
        hint: 'Documents are packed into rows of --context tokens; a shorter corpus needs a smaller --context, or --no-packing.',
      });
    }
    const normalisations = new Map(
      coders.map(({ layer }) => {
        const { x, y } = block.layers.get(layer)!;
        return [layer, { x: normalisationOf(x, d_model), y: normalisationOf(y, d_model) }] as const;
      }),
    );
    const places = Int32Array.from({ length: Math.min(block.n, recipe.batchTokens) }, (_, i) => i);
    for (const coder of coders) {
      const x = normalised(block.layers.get(coder.layer)!.x, places, normalisations.get(coder.layer)!.x);
      await coder.begin(x);
      x.dispose();
    }
    return normalisations;
  }

  async #step(
    pass: number,
    groups: readonly (readonly Coder[])[],
    batch: Batch,
    normalisations: Normalisations,
  ): Promise<void> {
    const { recipe, sparse } = this.#options;
    const step = this.progress.step + 1;
    const tokens = batch.n_before + batch.places.length;
    const middle = (batch.n_before + tokens) / 2;
    const rate = steadyRate(middle / recipe.tokens, recipe.learningRate, recipe);
    const isReviving =
      tokens - this.progress.revivedAt >= recipe.deadAfterTokens && tokens < REVIVING_SHARE * recipe.tokens;
    const reports: LayerReport[] = [];
    let loss = 0;
    for (const group of groups) {
      const values = layerBatches(group, batch, normalisations);
      try {
        const found = await stepTogether(group, values, { sparse, recipe, learningRate: rate, step });
        if (!Number.isFinite(found.loss)) throw diverged(found.loss, group, step);
        loss += found.loss / groups.length;
        for (const report of found.layers) reports.push(report);
        if (isReviving) await this.#revive(pass, step, group, values);
      } finally {
        for (const { x, y } of values.values()) tf.dispose([x, y]);
      }
    }
    const revivedAt = isReviving ? tokens : this.progress.revivedAt;
    this.progress = { ...this.progress, step, revivedAt };
    const event: StepEvent = {
      event: 'step',
      pass: pass + 1,
      step,
      tokens,
      tokens_total: recipe.tokens,
      tokens_per_second: this.#speed(tokens),
      learning_rate: rate,
      loss,
      layers: reports,
    };
    await this.#log.write(event);
    this.#options.onStep?.(event);
  }

  async #revive(
    pass: number,
    step: number,
    group: readonly Coder[],
    batch: ReadonlyMap<number, LayerBatch>,
  ): Promise<void> {
    const { recipe, sparse } = this.#options;
    for (const coder of group) {
      if (coder.numbers.n_dead === 0) continue;
      const error = missingOf(sparse, recipe, coder, group, batch);
      const { x } = batch.get(coder.layer)!;
      const n = await revive(coder, recipe, { x, error }, step);
      error.dispose();
      if (n > 0) await this.#log.write({ event: 'revive', pass: pass + 1, step, layer: coder.layer, n });
    }
  }

  /** Where this process began with the pass. */
  #began = { tokens: 0, atMs: 0 };
  #speed(tokens: number): number {
    return ((tokens - this.#began.tokens) * 1000) / (performance.now() - this.#began.atMs);
  }

  async #endedEarly(pass: number, tokens: number): Promise<void> {
    const { recipe, onNote } = this.#options;
    this.progress = { ...this.progress, endedEarly: true };
    await this.#log.write({
      event: 'corpus_ended',
      pass: pass + 1,
      tokens,
      wanted: recipe.tokens,
    });
    onNote?.(
      `The corpus ended after ${tokens} of ${recipe.tokens} tokens; the set is written as it is then. --epochs reads it again.`,
    );
  }

  async #save(coders: readonly Coder[], normalisations: Normalisations): Promise<void> {
    const { folder, record } = this.#options;
    this.progress = { ...this.progress, logBytes: this.#log.bytes };
    await saveCheckpoint(checkpointFile(folder), record.identity, this.progress, coders, normalisations);
  }
}

function diverged(loss: number, coders: readonly Coder[], step: number): BadFileError {
  const layers = coders.map(({ layer }) => layer).join(', ');
  return new BadFileError({
    code: 'diverged',
    message: `layer ${layers}: the loss is ${loss} at step ${step}`,
    hint: 'Give a smaller --lr, or a longer --warmup. The last checkpoint is kept.',
  });
}
