/** Features, labels that people write. */
import * as v from 'valibot';
import { UsageError } from '../errors.ts';
import { readJson } from '../formats/json.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { featureKey } from './page-source.ts';
import { compareKeys, FeatureKey, labelsFolder, parseKey, SetRecords } from './set-records.ts';

const FORMAT = 'tracer.labels';
const FORMAT_VERSION = 1;
/** Labels are shown in lists and beside nodes. */
export const LONGEST_LABEL = 500;

export interface EditedLabel {
  readonly layer: number;
  readonly feature: number;
  readonly text: string;
}

const LabelsFile = jsonObject({
  format: v.literal(FORMAT),
  format_version: v.literal(FORMAT_VERSION),
  /** The `scan` of the set that the labels belong to. */
  set: v.string(),
  labels: jsonRecord(FeatureKey, v.string()),
});
/** What can be imported: a file of labels, or the mapping alone. */
const Importable = v.union([
  jsonObject({ labels: jsonRecord(FeatureKey, v.string()) }),
  jsonRecord(FeatureKey, v.string()),
]);

/** The labels of one set. */
export class LabelFile extends SetRecords<string> {
  static of(set: string, folder: string = labelsFolder()): LabelFile {
    return new LabelFile(folder, set, LabelsFile);
  }

  /**
   * Sets labels, and removes those whose text is empty. Returns all labels. Throws `UsageError` for a text
   * that is no label, `ExhaustedError` where the folder cannot be written.
   */
  async write(labels: readonly EditedLabel[], signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const edits = labels.map(
      ({ layer, feature, text }) => [featureKey(layer, feature), labelText(text) || null] as const,
    );
    return await this.change(edits, signal);
  }

  protected text(labels: ReadonlyMap<string, string>): string {
    return labelsText(this.set, labels);
  }
}

/** The content of a file of labels. */
export function labelsText(set: string, labels: ReadonlyMap<string, string>): string {
  const content = { format: FORMAT, format_version: FORMAT_VERSION, set, labels: Object.fromEntries(labels) };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Labels of a file: one that was exported, or `{"LAYER_FEATURE": "text"}`. Throws `BadFileError` that names the field. */
export async function readLabels(path: string): Promise<EditedLabel[]> {
  const content = await readJson(path, Importable);
  const labels = (typeof content['labels'] === 'object' ? content['labels'] : content) as Record<
    string,
    string
  >;
  return labelList(Object.entries(labels));
}

export function labelList(labels: Iterable<readonly [key: string, text: string]>): EditedLabel[] {
  return [...labels].sort(([a], [b]) => compareKeys(a, b)).map(([key, text]) => ({ ...parseKey(key), text }));
}

/** The text as it is kept. Throws `UsageError` when it is too long or has more than one line. */
export function labelText(text: string): string {
  const trimmed = text.trim();
  const refuse = (why: string): never => {
    throw new UsageError({
      code: 'bad_label',
      message: `the label ${why}`,
      hint: `A label is one line of at most ${LONGEST_LABEL} characters.`,
    });
  };
  if (trimmed.length > LONGEST_LABEL) refuse(`has ${trimmed.length} characters`);
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(trimmed)) refuse('has several lines or control characters');
  return trimmed;
}
