/** Trainer: what a training is given, what comes out of it, and where its state lies meanwhile. */
import { join } from 'node:path';
import type { SparseProducts } from '../backend/backend.ts';
import type { Block } from './activations.ts';
import type { BlockSource } from './batches.ts';
import type { TrainProgress } from './checkpoint.ts';
import type { HeldOutReport } from './held-out.ts';
import type { StepEvent } from './log.ts';
import type { TrainPlan } from './plan.ts';
import type { Recipe } from './recipe.ts';
import type { TrainRecord } from './record.ts';

/** In the folder of the set, while it is trained. */
export const STATE_FOLDER = '.train';
const CHECKPOINT_FILE = 'checkpoint.safetensors';

export function checkpointFile(folder: string): string {
  return join(folder, STATE_FOLDER, CHECKPOINT_FILE);
}

/** Which parts are joined, while `train merge` writes the set. */
export function mergeFile(folder: string): string {
  return join(folder, STATE_FOLDER, 'merge.json');
}

export type SourceState = NonNullable<TrainProgress['feed']>['source'];

export interface TrainOptions {
  readonly recipe: Recipe;
  readonly plan: TrainPlan;
  readonly sparse: SparseProducts;
  readonly n_layers: number;
  readonly d_model: number;
  /** Where blocks of activations of layers come from, from a state on. */
  readonly source: (layers: readonly number[], state?: SourceState) => BlockSource<SourceState>;
  /** Tokens of blocks are shuffled. */
  readonly isShuffled: boolean;
  /** Activations of layers at held-out tokens, some rows at a time. */
  readonly heldOut: (layers: readonly number[]) => AsyncIterable<Block>;
  /** Tokens between two measurements on them; null: at the end of a pass only. */
  readonly evaluateEvery: number | null;
  /** Of the set. */
  readonly folder: string;
  readonly record: TrainRecord;
  readonly checkpointEveryMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Awaited before the first step, when the log is there. */
  readonly onBegin?: (() => Promise<void>) | undefined;
  readonly onStep?: (event: StepEvent) => void;
  readonly onNote?: (message: string) => void;
}

export interface TrainOutcome {
  readonly n_steps: number;
  /** Tokens of a pass that features were trained on. */
  readonly n_tokens: number;
  /** Steps of an earlier run. */
  readonly n_resumed_steps: number;
  readonly heldOut: readonly HeldOutReport[];
  /** Whether the corpus had fewer tokens than were wanted. */
  readonly endedEarly: boolean;
}
