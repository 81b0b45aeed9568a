/**
 * Features, fetched: pages that came one by one, a file each, until they are merged into the files of their layers. What a run that
 * was killed had fetched is there for the next one.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../formats/atomic.ts';
import { errnoCode, openingError } from '../../formats/system-errors.ts';
import { parsePageChunk, type FeaturePage } from '../../transcoder/feature-page.ts';
import { packDocument } from '../write-pages.ts';
import { SINGLE_FOLDER } from './fetched-state.ts';
import { GZIP } from './layer-file.ts';
import { mergeLayer, type MergedLayer, type NewPage } from './merge-layer.ts';

const NAME = /^(\d+)_(\d+)\.bin$/;

export class SinglePages {
  readonly #folder: string;
  readonly #target: string;
  readonly #features = new Map<number, Set<number>>();

  private constructor(target: string) {
    this.#target = target;
    this.#folder = join(target, SINGLE_FOLDER);
  }

  /** @param target the folder of the set */
  static async open(target: string): Promise<SinglePages> {
    const pages = new SinglePages(target);
    for (const name of await namesIn(pages.#folder)) {
      const [, layer, feature] = NAME.exec(name) ?? [];
      if (layer !== undefined) pages.#note(Number(layer), Number(feature));
    }
    return pages;
  }

  has(layer: number, feature: number): boolean {
    return this.#features.get(layer)?.has(feature) ?? false;
  }

  async add(layer: number, feature: number, page: FeaturePage, signal?: AbortSignal): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await writeFileAtomic(this.#path(layer, feature), packDocument(page, GZIP), { signal });
    this.#note(layer, feature);
  }

  /** Into the files of the layers, whose earlier pages of the same features they replace. */
  async merge(signal?: AbortSignal): Promise<Map<number, MergedLayer>> {
    const merged = new Map<number, MergedLayer>();
    for (const layer of [...this.#features.keys()].sort((a, b) => a - b)) {
      const features = [...this.#features.get(layer)!].sort((a, b) => a - b);
      const outcome = await mergeLayer(this.#target, this.#pages(layer, features), {
        layer,
        replaces: true,
        signal,
      });
      merged.set(layer, outcome);
      for (const feature of features) await rm(this.#path(layer, feature), { force: true });
      this.#features.delete(layer);
    }
    await rm(this.#folder, { recursive: true, force: true });
    return merged;
  }

  async *#pages(layer: number, features: readonly number[]): AsyncGenerator<NewPage> {
    for (const feature of features) {
      const path = this.#path(layer, feature);
      const chunk = await readFile(path).catch((error: unknown) => {
        throw openingError(path, error);
      });
      yield { feature, page: parsePageChunk(chunk, feature, path) };
    }
  }

  #path(layer: number, feature: number): string {
    return join(this.#folder, `${layer}_${feature}.bin`);
  }

  #note(layer: number, feature: number): void {
    this.#features.set(layer, (this.#features.get(layer) ?? new Set()).add(feature));
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw openingError(folder, error);
  }
}
