/**
 * Features, what people and models say about those of a set: one JSON file a set, in the user's data folder, so that sets that are
 * shared or read-only can be labelled too. A lock serialises writers, which keep each other's records.
 */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { dataFolder } from '../backend/install/folder.ts';
import { NotFoundError } from '../errors.ts';
import { writeFileAtomic } from '../formats/atomic.ts';
import { readJson } from '../formats/json.ts';
import { acquireLock } from '../formats/lock.ts';
import { asciiName } from '../graph/slug.ts';

/** A file name has at most 255 bytes on most systems; ending and lock need some. */
const LONGEST_KEY = 160;
const HASH_DIGITS = 16;

export const FeatureKey = v.pipe(v.string(), v.regex(/^\d+_\d+$/, 'LAYER_FEATURE is expected'));

/** `TRACER_LABELS_DIR`, else `labels` in the user's data folder. */
export function labelsFolder(): string {
  const named = process.env['TRACER_LABELS_DIR'];
  return named ? resolve(named) : join(dataFolder(), 'labels');
}

type RecordsSchema<T> = v.GenericSchema<unknown, { labels: Record<string, T> }>;

/** Records of one set, by `LAYER_FEATURE`. `set` is what it is known by everywhere: its scan, or for a folder without one its whole path. */
export abstract class SetRecords<T> {
  readonly path: string;
  protected readonly set: string;
  readonly #schema: RecordsSchema<T>;

  protected constructor(folder: string, set: string, schema: RecordsSchema<T>) {
    this.path = join(folder, `${fileKey(set)}.json`);
    this.set = set;
    this.#schema = schema;
  }

  /** Read afresh. Throws `BadFileError` for a file that is damaged, which is then never overwritten. */
  async read(): Promise<ReadonlyMap<string, T>> {
    try {
      return new Map(Object.entries((await readJson(this.path, this.#schema)).labels));
    } catch (error) {
      if (error instanceof NotFoundError && error.code === 'file_not_found') return new Map();
      throw error;
    }
  }

  /** Sets records, and removes those that are null. Returns all. Throws `ExhaustedError` where the folder cannot be written. */
  protected async change(
    records: Iterable<readonly [key: string, record: T | null]>,
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, T>> {
    await using _lock = await acquireLock(`${this.path}.lock`, { signal });
    const all = new Map(await this.read());
    for (const [key, record] of records) {
      if (record === null) all.delete(key);
      else all.set(key, record);
    }
    const sorted = new Map([...all].sort(([a], [b]) => compareKeys(a, b)));
    await writeFileAtomic(this.path, this.text(sorted), { signal });
    return sorted;
  }

  /** The content of the file. */
  protected abstract text(records: ReadonlyMap<string, T>): string;
}

/** Layer and feature of a `LAYER_FEATURE`. */
export function parseKey(key: string): { readonly layer: number; readonly feature: number } {
  const [layer, feature] = key.split('_').map(Number);
  return { layer: layer!, feature: feature! };
}

/** By layer, then feature. */
export function compareKeys(a: string, b: string): number {
  const [one, other] = [parseKey(a), parseKey(b)];
  return one.layer - other.layer || one.feature - other.feature;
}

/** Letters, digits and `_.-`, as viewers' files write a scan, so that those lead to the same labels. */
export function fileKey(set: string): string {
  const key = asciiName(set);
  if (key.length <= LONGEST_KEY) return key;
  const hash = createHash('sha256').update(key).digest('hex').slice(0, HASH_DIGITS);
  return `${key.slice(0, LONGEST_KEY)}-${hash}`;
}
