/** Features, fetched: what is remembered of a set beside its pages: where they are from, whose exports are complete, what is unknown there. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { NotFoundError, UsageError } from '../../errors.ts';
import { writeFileAtomic } from '../../formats/atomic.ts';
import { readJson } from '../../formats/json.ts';
import { jsonObject, jsonRecord } from '../../formats/json-object.ts';

const FORMAT = 'tracer.fetched_features';
const FORMAT_VERSION = 1;
export const STATE_FILE = 'fetched.json';
/** Inside the folder of a set: pages that are not merged yet. */
export const SINGLE_FOLDER = '.single';
const LAYER_FILE = /^layer_\d+\.bin$/;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const LayerState = jsonObject({
  /** Where the exports of the layer were read to their end. */
  exports: v.nullable(
    jsonObject({
      date: v.string(),
      n_files: count,
      n_features: count,
      /** Lines that could not be used. */
      n_faults: count,
    }),
  ),
  /** Features that the site said it does not know, by rising number. */
  unknown: v.array(count),
});
const State = jsonObject({
  format: v.literal(FORMAT),
  format_version: v.literal(FORMAT_VERSION),
  /** What the set is known by. */
  set: v.string(),
  /** `MODEL/SOURCE` with `{layer}`. */
  source: v.string(),
  layers: jsonRecord(v.pipe(v.string(), v.regex(/^\d+$/, 'a layer is expected')), LayerState),
});

export type ExportsState = NonNullable<v.InferOutput<typeof LayerState>['exports']>;

export class FetchedState {
  readonly source: string;
  readonly #path: string;
  readonly #set: string;
  readonly #exports = new Map<number, ExportsState>();
  readonly #unknown = new Map<number, Set<number>>();

  private constructor(folder: string, set: string, source: string) {
    this.#path = join(folder, STATE_FILE);
    this.#set = set;
    this.source = source;
  }

  /**
   * Throws `UsageError` where the pages in the folder are from another source, `BadFileError` for a damaged file. A source of which
   * nothing came is forgotten.
   */
  static async open(folder: string, set: string, source: string): Promise<FetchedState> {
    const state = new FetchedState(folder, set, source);
    const stored = await readJson(state.#path, State).catch((error: unknown) => {
      if (error instanceof NotFoundError && error.code === 'file_not_found') return null;
      throw error;
    });
    if (stored !== null && stored.source !== source) {
      if (!(await hasPages(folder))) return state;
      throw new UsageError({
        code: 'other_source',
        message: `what was fetched for ${set} is from ${stored.source}, not from ${source}`,
        hint: `Fetch from ${stored.source}, or remove ${folder} first.`,
      });
    }
    for (const [layer, { exports, unknown }] of Object.entries(stored?.layers ?? {})) {
      if (exports) state.#exports.set(Number(layer), exports);
      state.#unknown.set(Number(layer), new Set(unknown));
    }
    return state;
  }

  exportsOf(layer: number): ExportsState | undefined {
    return this.#exports.get(layer);
  }

  setExports(layer: number, exports: ExportsState): void {
    this.#exports.set(layer, exports);
  }

  isUnknown(layer: number, feature: number): boolean {
    return this.#unknown.get(layer)?.has(feature) ?? false;
  }

  setUnknown(layer: number, feature: number, isUnknown: boolean): void {
    const known = this.#unknown.get(layer) ?? new Set();
    if (isUnknown) known.add(feature);
    else known.delete(feature);
    this.#unknown.set(layer, known);
  }

  async save(signal?: AbortSignal): Promise<void> {
    const layers = [...new Set([...this.#exports.keys(), ...this.#unknown.keys()])].sort((a, b) => a - b);
    const state: v.InferOutput<typeof State> = {
      format: FORMAT,
      format_version: FORMAT_VERSION,
      set: this.#set,
      source: this.source,
      layers: Object.fromEntries(
        layers.map((layer) => [
          layer,
          {
            exports: this.#exports.get(layer) ?? null,
            unknown: [...(this.#unknown.get(layer) ?? [])].sort((a, b) => a - b),
          },
        ]),
      ),
    };
    await writeFileAtomic(this.#path, `${JSON.stringify(state)}\n`, { signal });
  }
}

/** Merged or not. */
async function hasPages(folder: string): Promise<boolean> {
  return (await readdir(folder)).some((name) => name === SINGLE_FOLDER || LAYER_FILE.test(name));
}
