/** Features, labels that a language model wrote, each with its score and what it was made with. */
import { join } from 'node:path';
import * as v from 'valibot';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { FeatureKey, labelsFolder, SetRecords } from './set-records.ts';

const FORMAT = 'tracer.model_labels';
const FORMAT_VERSION = 1;
/** Inside the folder of the labels that people write, where no set can have the name of such a file. */
const FOLDER = 'by-model';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const ModelLabel = jsonObject({
  text: v.string(),
  /** Name of the language model, as its server knows it. */
  model: v.string(),
  /** Of the prompts that asked for the label and for the score. */
  prompt_version: count,
  /**
   * Balanced accuracy of detection on texts that the label was not made from: 1 tells all apart, 0.5 is chance. Null where there
   * were no such texts.
   */
  score: v.nullable(v.number()),
  /** The model that the score was asked of. */
  scorer: v.string(),
  /** Texts of the score with and without the feature, and how many of each were recognised. */
  n_positive: count,
  n_negative: count,
  n_true_positive: count,
  n_true_negative: count,
});
const ModelLabelsFile = jsonObject({
  format: v.literal(FORMAT),
  format_version: v.literal(FORMAT_VERSION),
  set: v.string(),
  labels: jsonRecord(FeatureKey, ModelLabel),
});

export type ModelLabel = Readonly<v.InferOutput<typeof ModelLabel>>;

/** The labels of one set. */
export class ModelLabelFile extends SetRecords<ModelLabel> {
  static of(set: string, folder: string = labelsFolder()): ModelLabelFile {
    return new ModelLabelFile(join(folder, FOLDER), set, ModelLabelsFile);
  }

  /** Keeps the labels of others; of two for a feature the new one stays. Throws `ExhaustedError` where the folder cannot be written. */
  async write(labels: ReadonlyMap<string, ModelLabel>, signal?: AbortSignal): Promise<void> {
    await this.change(labels, signal);
  }

  protected text(labels: ReadonlyMap<string, ModelLabel>): string {
    const content = {
      format: FORMAT,
      format_version: FORMAT_VERSION,
      set: this.set,
      labels: Object.fromEntries(labels),
    };
    return `${JSON.stringify(content, null, 2)}\n`;
  }
}
