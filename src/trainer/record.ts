/** Trainer: what the log of a training says of it at its beginning, so that its card can be written, and parts of a set be joined, later. */
import * as v from 'valibot';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { INPUT_SITES, OUTPUT_SITES } from '../transcoder/description.ts';
import { RESULT_TYPES, TRAIN_ACTIVATIONS, TRAIN_KINDS, TRAIN_OPTIMIZERS } from './recipe.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const layers = v.array(count);

export const RecipeFields = jsonObject({
  kind: v.picklist(TRAIN_KINDS),
  activation: v.picklist(TRAIN_ACTIVATIONS),
  k: count,
  l0: v.number(),
  hasSkip: v.boolean(),
  d_transcoder: count,
  layers,
  feature_input_hook: v.picklist(INPUT_SITES),
  feature_output_hook: v.picklist(OUTPUT_SITES),
  tokens: count,
  batchTokens: count,
  optimizer: v.picklist(TRAIN_OPTIMIZERS),
  learningRate: v.number(),
  warmup: v.number(),
  decay: v.number(),
  seed: count,
  dtype: v.picklist(RESULT_TYPES),
  hasUnitDecoder: v.boolean(),
  auxiliaryWeight: v.number(),
  deadAfterTokens: count,
});

export const RecordFields = jsonObject({
  /** As the set's configuration names it. */
  modelName: v.string(),
  /** Values that parts of one set have in common, with names for error messages. */
  identity: jsonRecord(v.string(), v.string()),
  /** Of the whole set, of which a part has some. */
  layersOfSet: layers,
  /** Tokens of a row. */
  context: count,
  /** Names of the files, without their folders. */
  corpus: v.array(v.string()),
  /** What was asked for beside the recipe; missing where defaults hold. */
  bos: v.optional(v.string()),
  field: v.optional(v.string()),
  wholeFiles: v.optional(v.boolean()),
  packing: v.optional(v.boolean()),
  shuffle: v.optional(count),
  epochs: v.optional(count),
});

export type TrainRecord = v.InferOutput<typeof RecordFields>;
