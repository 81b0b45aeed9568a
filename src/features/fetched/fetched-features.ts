/**
 * Features, fetched: pages and labels from Neuronpedia as they lie on this machine, in a folder for each set. Only the user's own come
 * before them.
 */
import { fstat as fstatOf } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { dataFolder } from '../../backend/install/folder.ts';
import { NotFoundError } from '../../errors.ts';
import { openFileSource, type ByteSource } from '../../formats/byte-source.ts';
import { jsonObject } from '../../formats/json-object.ts';
import { checkSchema } from '../../formats/parsed-text.ts';
import {
  FetchedExplanationSchema,
  parseChunk,
  parsePageChunk,
  type FeaturePage,
} from '../../transcoder/feature-page.ts';
import { featureKey, type PageSource } from '../page-source.ts';
import { fileKey } from '../set-records.ts';
import { LayerTable, readLabel, readPage } from './layer-file.ts';

const fstat = promisify(fstatOf);

/** The first explanation of a feature, with the day it was fetched. */
const Label = jsonObject({ ...FetchedExplanationSchema.entries, date: v.string() });
export type FetchedLabel = Readonly<v.InferOutput<typeof Label>>;

/** `TRACER_NEURONPEDIA_DIR`, else `neuronpedia` in the user's data folder. */
export function neuronpediaFolder(): string {
  const named = process.env['TRACER_NEURONPEDIA_DIR'];
  return named ? resolve(named) : join(dataFolder(), 'neuronpedia');
}

export function layerPath(folder: string, layer: number): string {
  return join(folder, `layer_${layer}.bin`);
}

/** What is kept of a page's explanations beside it, so that labels are found without reading pages. */
export function labelDocument({ fetched }: FeaturePage): FetchedLabel | null {
  const [first] = fetched?.explanations ?? [];
  return first === undefined ? null : { ...first, date: fetched!.date };
}

interface KnownTable {
  /** Of the file that it was read from. */
  readonly version: string;
  readonly table: LayerTable;
}

export class FetchedFeatures implements PageSource {
  /** The folder of the set. */
  readonly name: string;
  readonly isLocal = true;
  readonly #tables = new Map<number, KnownTable>();

  private constructor(folder: string) {
    this.name = folder;
  }

  /** @param set what it is known by everywhere, as for `LabelFile` */
  static of(set: string, folder: string = neuronpediaFolder()): FetchedFeatures {
    return new FetchedFeatures(join(folder, fileKey(set)));
  }

  /** Throws `BadFileError` for a damaged file, as all do that read. */
  async page(layer: number, feature: number): Promise<FeaturePage | null> {
    const page = await this.#withLayer(layer, async (source, table) => {
      const entry = table.find(feature);
      return entry && (await readPage(source, entry));
    });
    return page && parsePageChunk(page, feature, layerPath(this.name, layer));
  }

  async label(layer: number, feature: number): Promise<FetchedLabel | null> {
    return (await this.labels([[layer, feature]])).get(featureKey(layer, feature)) ?? null;
  }

  /** By `LAYER_FEATURE`; features without one are left out. */
  async labels(
    features: Iterable<readonly [layer: number, feature: number]>,
  ): Promise<Map<string, FetchedLabel>> {
    const byLayer = new Map<number, Set<number>>();
    for (const [layer, feature] of features) {
      byLayer.set(layer, (byLayer.get(layer) ?? new Set()).add(feature));
    }
    const found = new Map<string, FetchedLabel>();
    for (const [layer, wanted] of byLayer) {
      const name = layerPath(this.name, layer);
      await this.#withLayer(layer, async (source, table) => {
        for (const feature of wanted) {
          const entry = table.find(feature);
          const chunk = entry && (await readLabel(source, entry));
          if (chunk)
            found.set(featureKey(layer, feature), checkSchema(name, parseChunk(chunk, feature, name), Label));
        }
      });
    }
    return found;
  }

  /** The features of a layer that there are; null where there is no file of the layer. */
  async table(layer: number): Promise<LayerTable | null> {
    return await this.#withLayer(layer, (_, table) => Promise.resolve(table));
  }

  /** The table is that of the file that is open: its name may be given to another at any time. Null where there is none. */
  async #withLayer<T>(
    layer: number,
    use: (source: ByteSource, table: LayerTable) => Promise<T>,
  ): Promise<T | null> {
    using source = await openIfThere(layerPath(this.name, layer));
    if (source === null) return null;
    const { ino, size, mtimeMs } = await fstat(source.location!.descriptor);
    const version = `${ino} ${size} ${mtimeMs}`;
    const known = this.#tables.get(layer);
    const table = known?.version === version ? known.table : await LayerTable.read(source);
    this.#tables.set(layer, { version, table });
    return await use(source, table);
  }
}

async function openIfThere(path: string): Promise<ByteSource | null> {
  try {
    return await openFileSource(path);
  } catch (error) {
    if (error instanceof NotFoundError && error.code === 'file_not_found') return null;
    throw error;
  }
}
