/** Attribution: what is explained. Logits, their vectors and the weight that each has in the graph. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { UsageError } from '../errors.ts';
import { largestIndices, softmax } from '../model/logits.ts';
import type { TransformerConfig } from '../model/config.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Which logits a graph explains. */
export type TargetChoice =
  /** The most likely ones, until their probabilities add up. */
  | { readonly kind: 'most_likely'; readonly maxLogits: number; readonly desiredProbability: number }
  | { readonly kind: 'tokens'; readonly ids: readonly number[] }
  /** Each has to be one token. */
  | { readonly kind: 'strings'; readonly texts: readonly string[] }
  /** The logit of `plus` minus the logit of `minus`; each has to be one token. */
  | { readonly kind: 'difference'; readonly plus: string; readonly minus: string }
  /** Directions at the output of the final norm, taken as they are. */
  | { readonly kind: 'custom'; readonly directions: readonly CustomDirection[] };

export interface CustomDirection {
  readonly label: string;
  /** The weight of the node in the graph. */
  readonly probability: number;
  /** [d_model] */
  readonly vector: readonly number[];
}

/** Targets of a prompt. Dispose it, or take it with `using`. */
export interface Targets extends Disposable {
  /** Vocabulary ids; custom directions count on from the size of the vocabulary. */
  readonly ids: readonly number[];
  readonly labels: readonly string[];
  readonly probabilities: Float32Array;
  /** [n_logits, d_model], at the output of the final norm. */
  readonly vectors: Tensor2D;
}

/**
 * What can be said of targets before anything is computed.
 * @throws UsageError for ids outside the vocabulary, texts of several tokens, targets named twice, vectors of another width
 */
export function checkTargets(
  choice: TargetChoice,
  config: Pick<TransformerConfig, 'd_vocab' | 'd_model'>,
  tokenizer: Tokenizer,
): void {
  switch (choice.kind) {
    case 'most_likely':
      return;
    case 'tokens':
      return checkIds(choice.ids, config.d_vocab);
    case 'strings':
      return checkIds(
        choice.texts.map((text) => tokenizer.singleToken(text)),
        config.d_vocab,
      );
    case 'difference':
      return checkIds(
        [choice.plus, choice.minus].map((text) => tokenizer.singleToken(text)),
        config.d_vocab,
      );
    case 'custom':
      return checkDirections(choice.directions, config.d_model);
  }
}

/**
 * @param logits of the position that is explained, after the soft cap, [d_vocab]
 * @throws UsageError as `checkTargets`
 */
export async function chooseTargets(
  choice: TargetChoice,
  logits: Float32Array,
  replacement: ReplacementModel,
  tokenizer: Tokenizer,
): Promise<Targets> {
  const { config } = replacement.model;
  const { d_vocab, d_model } = config;
  checkTargets(choice, config, tokenizer);
  const probabilities = softmax(logits);
  const targets = (ids: readonly number[], vectors: Tensor2D): Targets => ({
    ids,
    labels: tokenizer.tokenStrings(ids),
    probabilities: Float32Array.from(ids, (id) => probabilities[id]!),
    vectors,
    [Symbol.dispose]: () => vectors.dispose(),
  });
  switch (choice.kind) {
    case 'most_likely': {
      const ids = mostLikelyIds(probabilities, choice.maxLogits, choice.desiredProbability);
      return targets(ids, await centredRows(replacement, ids));
    }
    case 'tokens':
    case 'strings': {
      const ids =
        choice.kind === 'tokens' ? choice.ids : choice.texts.map((text) => tokenizer.singleToken(text));
      return targets(ids, await centredRows(replacement, ids));
    }
    case 'difference': {
      const ids = [choice.plus, choice.minus].map((text) => tokenizer.singleToken(text));
      const rows = await centredRows(replacement, ids);
      const vectors = tf.tidy(() =>
        tf.sub<Tensor2D>(tf.slice(rows, [0, 0], [1, d_model]), tf.slice(rows, [1, 0], [1, d_model])),
      );
      rows.dispose();
      return custom([d_vocab], [`${choice.plus} −${choice.minus}`], [1], vectors);
    }
    case 'custom': {
      const { directions } = choice;
      const values = Float32Array.from(directions.flatMap(({ vector }) => vector));
      return custom(
        directions.map((_, i) => d_vocab + i),
        directions.map(({ label }) => label),
        directions.map(({ probability }) => probability),
        tf.tensor2d(values, [directions.length, d_model]),
      );
    }
  }
}

function custom(ids: number[], labels: string[], weights: number[], vectors: Tensor2D): Targets {
  return {
    ids,
    labels,
    probabilities: Float32Array.from(weights),
    vectors,
    [Symbol.dispose]: () => vectors.dispose(),
  };
}

/** The most likely ids in order, cut after the one at which the cumulative probability reaches what is desired. */
function mostLikelyIds(probabilities: Float64Array, maxLogits: number, desired: number): number[] {
  const most = largestIndices(probabilities, maxLogits);
  let sum = 0;
  const reached = most.findIndex((id) => (sum += probabilities[id]!) >= desired);
  return reached < 0 ? most : most.slice(0, reached + 1);
}

/** Rows of the unembedding minus the mean row over the whole vocabulary, [ids.length, d_model]. */
async function centredRows({ model, folded }: ReplacementModel, ids: readonly number[]): Promise<Tensor2D> {
  const mean = await folded.meanUnembedding();
  try {
    const rows = await model.weights.W_U.rows(Int32Array.from(ids));
    try {
      return tf.sub<Tensor2D>(rows, mean);
    } finally {
      rows.dispose();
    }
  } finally {
    mean.dispose();
  }
}

function checkIds(ids: readonly number[], d_vocab: number): void {
  if (ids.length === 0) {
    throw new UsageError({
      code: 'no_targets',
      message: 'there is no target',
      hint: 'Name at least one token.',
    });
  }
  ids.forEach((id, i) => {
    if (!Number.isInteger(id) || id < 0 || id >= d_vocab) {
      throw new UsageError({
        code: 'target_out_of_range',
        message: `the target ${id} is outside the vocabulary`,
        hint: `Token ids run from 0 to ${d_vocab - 1}.`,
      });
    }
    if (ids.indexOf(id) !== i) {
      throw new UsageError({
        code: 'duplicate_target',
        message: `the target ${id} is named twice`,
        hint: 'Every target becomes a node of its own; name each once.',
      });
    }
  });
}

function checkDirections(directions: readonly CustomDirection[], d_model: number): void {
  if (directions.length === 0) {
    throw new UsageError({
      code: 'no_targets',
      message: 'there is no target',
      hint: 'Give at least one direction.',
    });
  }
  for (const { label, probability, vector } of directions) {
    if (vector.length !== d_model || !vector.every(Number.isFinite)) {
      throw new UsageError({
        code: 'bad_direction',
        message: `the vector of target ${JSON.stringify(label)} has ${vector.length} numbers; expected ${d_model} finite ones`,
        hint: 'Directions are read at the output of the final norm, which is d_model wide.',
      });
    }
    if (!(probability >= 0 && Number.isFinite(probability))) {
      throw new UsageError({
        code: 'bad_direction',
        message: `the weight of target ${JSON.stringify(label)} is ${probability}; expected a number of at least 0`,
        hint: 'It says how much of the influence in the graph starts there.',
      });
    }
  }
}
