/** Trainer: `train.jsonl`, what happened in a run, one JSON object a line. A resumed run goes on behind its checkpoint. */
import { open, truncate, type FileHandle } from 'node:fs/promises';
import { writingError } from '../formats/system-errors.ts';
import type { HeldOutReport } from './held-out.ts';
import type { Recipe } from './recipe.ts';
import type { TrainRecord } from './record.ts';
import type { LayerReport } from './step.ts';

export const LOG_FILE = 'train.jsonl';

export interface StepEvent {
  readonly event: 'step';
  readonly pass: number;
  /** From 1 on, in a pass. */
  readonly step: number;
  /** Of the pass, after the step. */
  readonly tokens: number;
  readonly tokens_total: number;
  /** Since this process began with the pass, with the model's passes; while the first activations are trained on, less than it will be. */
  readonly tokens_per_second: number;
  readonly learning_rate: number;
  /** Mean over layers, with penalties. */
  readonly loss: number;
  readonly layers: readonly LayerReport[];
}

/** The interface to whatever shows a training while it runs. */
export type TrainEvent =
  | {
      readonly event: 'begin';
      readonly recipe: Recipe;
      readonly passes: readonly (readonly number[])[];
      readonly record: TrainRecord;
    }
  | { readonly event: 'resume'; readonly pass: number; readonly step: number }
  | { readonly event: 'pass'; readonly pass: number; readonly layers: readonly number[] }
  | StepEvent
  | {
      readonly event: 'revive';
      readonly pass: number;
      readonly step: number;
      readonly layer: number;
      readonly n: number;
    }
  | {
      readonly event: 'held_out';
      readonly pass: number;
      readonly tokens: number;
      readonly layers: readonly HeldOutReport[];
    }
  | { readonly event: 'written'; readonly pass: number; readonly files: readonly string[] }
  | {
      readonly event: 'corpus_ended';
      readonly pass: number;
      readonly tokens: number;
      readonly wanted: number;
    }
  | {
      readonly event: 'end';
      /** Of a pass. */
      readonly n_tokens: number;
      readonly ended_early: boolean;
    };

/** Dispose it with `await using`. */
export class TrainLog implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  #bytes: number;

  private constructor(path: string, file: FileHandle, bytes: number) {
    this.path = path;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** @param bytes that stay of an earlier run; those behind them are of steps that are done again */
  static async open(path: string, bytes: number): Promise<TrainLog> {
    try {
      const file = await open(path, 'a');
      const kept = Math.min(bytes, (await file.stat()).size);
      await truncate(path, kept);
      return new TrainLog(path, file, kept);
    } catch (error) {
      throw writingError(path, error);
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Throws `ExhaustedError` when the disk is full. */
  async write(event: TrainEvent): Promise<void> {
    const line = Buffer.from(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`);
    try {
      await this.#file.appendFile(line);
    } catch (error) {
      throw writingError(this.path, error);
    }
    this.#bytes += line.byteLength;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
