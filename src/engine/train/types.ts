/** Engine, verb `train`: types of the request and the result. */
import type { Device } from '../../backend/backend.ts';
import type { BlockSite, OutputSite } from '../../model/hooks.ts';
import type { HeldOutReport } from '../../trainer/held-out.ts';
import type { StepEvent } from '../../trainer/log.ts';
import type { Recipe, TrainActivation, TrainKind, TrainOptimizer } from '../../trainer/recipe.ts';
import type { EvaluateResult } from '../evaluate/types.ts';
import type { CommonOptions } from '../request.ts';
import type { Shard } from '../shard.ts';

export const TRAIN_DEFAULTS = {
  /** Tokens of a row, BOS included; less where the model reads less. */
  context: 256,
  /** Rows that are shuffled together. */
  shuffledRows: 4096,
  /** Tokens whose activations are in memory, and shuffled, at a time. */
  blockTokens: 16_384,
  checkpointMinutes: 10,
  epochs: 1,
} as const;

/** `dtype` is that of the matrices that are written; arithmetic is float32. */
export interface TrainRequest extends Omit<CommonOptions, 'transcoders' | 'allowMissingLayers'> {
  /** Files: text with one document a line, or JSON Lines with a text or token ids. */
  readonly corpus: readonly string[];
  /** Field of JSON Lines with the text; default `text`. */
  readonly field?: string | undefined;
  /** Text files are one document each. */
  readonly wholeFiles?: boolean | undefined;
  /** The same for evaluation; default every twentieth document of the corpus, up to some. */
  readonly heldOut?: readonly string[] | undefined;
  /** Folder of the set. */
  readonly output: string;
  /** Default all of the model. */
  readonly layers?: readonly number[] | undefined;
  /** Trains a part of these layers only, of a per-layer set; `mergeTraining` joins the folders of all parts. */
  readonly shard?: Shard | undefined;
  readonly kind?: TrainKind | undefined;
  readonly activation?: TrainActivation | undefined;
  readonly k?: number | undefined;
  readonly l0?: number | undefined;
  readonly skip?: boolean | undefined;
  /** Features a layer; or as many times d_model. */
  readonly features?: number | undefined;
  readonly expansion?: number | undefined;
  /** Default as published sets of the model's family have them. */
  readonly inputHook?: BlockSite | undefined;
  readonly outputHook?: OutputSite | undefined;
  /** Tokens to train on; default all of the corpus, which is counted first. */
  readonly tokens?: number | undefined;
  readonly context?: number | undefined;
  readonly batchTokens?: number | undefined;
  /** False: each document begins a row of its own. */
  readonly packing?: boolean | undefined;
  /** Rows that are shuffled together; 0: rows and tokens come in the order of the corpus. */
  readonly shuffle?: number | undefined;
  /** Times that the corpus is read. */
  readonly epochs?: number | undefined;
  readonly optimizer?: TrainOptimizer | undefined;
  readonly learningRate?: number | undefined;
  /** Shares of the tokens in which the learning rate rises, and falls. */
  readonly warmup?: number | undefined;
  readonly decay?: number | undefined;
  readonly seed?: number | undefined;
  /** Tokens between two measurements on held-out ones. */
  readonly evaluateEvery?: number | undefined;
  /** Whether the set is measured as by `tracer evaluate` when it is written; default true. */
  readonly evaluate?: boolean | undefined;
  /** Minutes between two checkpoints. */
  readonly checkpointEvery?: number | undefined;
  /** Folder that activations are kept in, to be read again for further layers and epochs. */
  readonly store?: string | undefined;
  /** Continues an interrupted training with the same options. */
  readonly resume?: boolean | undefined;
  /** Awaited before the first step, when `train.jsonl` is in the output folder. */
  readonly onBegin?: (() => Promise<void>) | undefined;
  /** Called after each step. */
  readonly onStep?: ((event: StepEvent) => void) | undefined;
}

export interface TrainResult {
  readonly model: string;
  readonly output: string;
  readonly backend: string;
  readonly device: Device;
  readonly corpus: readonly string[];
  readonly context: number;
  readonly recipe: Recipe;
  /** Which part of the set was trained; null: all of it. */
  readonly shard: Shard | null;
  /** Layers of each pass over the corpus. */
  readonly passes: readonly (readonly number[])[];
  readonly n_steps: number;
  readonly n_resumed_steps: number;
  /** Tokens that features of a pass were trained on. */
  readonly n_tokens: number;
  readonly tokens_per_second: number | null;
  /** Whether the corpus had fewer tokens than were asked for. */
  readonly corpus_ended: boolean;
  /** On held-out tokens when a pass ended; of the passes of this run. */
  readonly held_out: readonly HeldOutReport[];
  /** The table of `tracer evaluate` on held-out documents; null where there are none, or it was not wanted. */
  readonly evaluation: EvaluateResult | null;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly peak_rss_bytes: number;
}
