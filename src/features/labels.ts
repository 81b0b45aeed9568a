/**
 * Features, labels that people write: one JSON file a set, in the user's data folder, so that sets that are shared or
 * read-only can be labelled too. A lock serialises writers, which keep each other's labels.
 */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { dataFolder } from '../backend/install/folder.ts';
import { NotFoundError, UsageError } from '../errors.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { writeFileAtomic } from '../formats/atomic.ts';
import { readJson } from '../formats/json.ts';
import { acquireLock } from '../formats/lock.ts';
import { asciiName } from '../graph/slug.ts';
import { featureKey } from './page-source.ts';

const FORMAT = 'tracer.labels';
const FORMAT_VERSION = 1;
/** Labels are shown in lists and beside nodes. */
const LONGEST_LABEL = 500;
/** A file name has at most 255 bytes on most systems; ending and lock need some. */
const LONGEST_KEY = 160;
const HASH_DIGITS = 16;

export interface EditedLabel {
  readonly layer: number;
  readonly feature: number;
  readonly text: string;
}

const Key = v.pipe(v.string(), v.regex(/^\d+_\d+$/, 'LAYER_FEATURE is expected'));
const LabelsFile = jsonObject({
  format: v.literal(FORMAT),
  format_version: v.literal(FORMAT_VERSION),
  /** The `scan` of the set that the labels belong to. */
  set: v.string(),
  labels: jsonRecord(Key, v.string()),
});
/** What can be imported: a file of labels, or the mapping alone. */
const Importable = v.union([
  jsonObject({ labels: jsonRecord(Key, v.string()) }),
  jsonRecord(Key, v.string()),
]);

/** `TRACER_LABELS_DIR`, else `labels` in the user's data folder. */
export function labelsFolder(): string {
  const named = process.env['TRACER_LABELS_DIR'];
  return named ? resolve(named) : join(dataFolder(), 'labels');
}

/** The labels of one set. `set` is what it is known by everywhere: its scan, or for a folder without one its whole path. */
export class LabelFile {
  readonly path: string;
  readonly #set: string;

  private constructor(path: string, set: string) {
    this.path = path;
    this.#set = set;
  }

  static of(set: string, folder: string = labelsFolder()): LabelFile {
    return new LabelFile(join(folder, `${fileKey(set)}.json`), set);
  }

  /** By `LAYER_FEATURE`, read afresh. Throws `BadFileError` for a file that is damaged, which is then never overwritten. */
  async read(): Promise<ReadonlyMap<string, string>> {
    try {
      return new Map(Object.entries((await readJson(this.path, LabelsFile)).labels));
    } catch (error) {
      if (error instanceof NotFoundError && error.code === 'file_not_found') return new Map();
      throw error;
    }
  }

  /**
   * Sets labels, and removes those whose text is empty. Returns all labels. Throws `UsageError` for a text
   * that is no label, `ExhaustedError` where the folder cannot be written.
   */
  async write(labels: readonly EditedLabel[], signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const edits = labels.map(({ layer, feature, text }) => [featureKey(layer, feature), labelText(text)]);
    await using _lock = await acquireLock(`${this.path}.lock`, { signal });
    const all = new Map(await this.read());
    for (const [key, text] of edits) {
      if (text === '') all.delete(key!);
      else all.set(key!, text!);
    }
    const sorted = new Map([...all].sort(([a], [b]) => compareKeys(a, b)));
    await writeFileAtomic(this.path, labelsText(this.#set, sorted), { signal });
    return sorted;
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
  return [...labels]
    .sort(([a], [b]) => compareKeys(a, b))
    .map(([key, text]) => {
      const [layer, feature] = key.split('_').map(Number);
      return { layer: layer!, feature: feature!, text };
    });
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

/** Letters, digits and `_.-`, as viewers' files write a scan, so that those lead to the same labels. */
function fileKey(set: string): string {
  const key = asciiName(set);
  if (key.length <= LONGEST_KEY) return key;
  const hash = createHash('sha256').update(key).digest('hex').slice(0, HASH_DIGITS);
  return `${key.slice(0, LONGEST_KEY)}-${hash}`;
}

/** By layer, then feature. */
function compareKeys(a: string, b: string): number {
  const [[layerA, featureA], [layerB, featureB]] = [a.split('_').map(Number), b.split('_').map(Number)];
  return layerA! - layerB! || featureA! - featureB!;
}
