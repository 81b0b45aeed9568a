/**
 * Features, local pages: a folder in the published layout (`index.json.gz` and one file a layer), or with one JSON
 * a feature, `SCAN/NUMBER.json` or `NUMBER.json`, as circuit-tracer's frontend looks them up.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { NotFoundError } from '../errors.ts';
import { openFileSource } from '../formats/byte-source.ts';
import { readJson } from '../formats/json.ts';
import { orSavedInstead } from '../formats/saved-instead.ts';
import { errnoCode } from '../formats/system-errors.ts';
import { asciiName } from '../graph/slug.ts';
import {
  FEATURE_FOLDER,
  INDEX_FILE,
  parseFeatureIndex,
  parsePage,
  parsePageChunk,
  placeOfPage,
  type FeatureIndex,
  type FeaturePage,
} from '../transcoder/feature-page.ts';
import { pairingNumber, type PageSource } from './page-source.ts';

/**
 * The pages in a folder, or in `features` inside it; null where there are none. Of one-file-a-feature layouts, those of
 * `scan` come first. Throws what reading throws for a folder that may not be read.
 */
export async function openFolderPages(folder: string, scan: string): Promise<PageSource | null> {
  for (const candidate of [folder, join(folder, FEATURE_FOLDER)]) {
    if (existsSync(join(candidate, INDEX_FILE))) return new IndexedFolder(candidate);
    for (const name of [scan, asciiName(scan)]) {
      const parts = name.split(/[/\\]/).filter((part) => part !== '..');
      const inside = join(candidate, parts.join('/'));
      if (await hasNumberedFiles(inside)) return new NumberedFolder(inside);
    }
    if (await hasNumberedFiles(candidate)) return new NumberedFolder(candidate);
  }
  return null;
}

/** As `openFolderPages`, for a folder that the user named: throws `NotFoundError` when it has no pages. */
export async function requireFolderPages(folder: string, scan: string): Promise<PageSource> {
  const pages = await openFolderPages(folder, scan);
  if (pages) return pages;
  const found = existsSync(folder) ? 'holds no feature pages' : 'does not exist';
  throw new NotFoundError({
    code: 'no_feature_pages',
    message: `${folder} ${found}: neither ${INDEX_FILE} nor NUMBER.json or ${asciiName(scan)}/NUMBER.json is there`,
    hint: 'Give --features a folder that `tracer features build` wrote, or the features folder of a published set.',
  });
}

class IndexedFolder implements PageSource {
  readonly name: string;
  readonly isLocal = true;
  readonly #folder: string;
  #index: Promise<FeatureIndex> | undefined;

  constructor(folder: string) {
    this.name = folder;
    this.#folder = folder;
  }

  async page(layer: number, feature: number): Promise<FeaturePage | null> {
    const indexFile = join(this.#folder, INDEX_FILE);
    this.#index ??= readIndex(indexFile);
    const place = placeOfPage(await this.#index, layer, feature, indexFile);
    if (place === null) return null;
    using source = await openFileSource(join(this.#folder, place.filename));
    const chunk = new Uint8Array(place.stop - place.start);
    try {
      await source.read(place.start, chunk);
      return parsePageChunk(chunk, feature, source.name);
    } catch (error) {
      throw await orSavedInstead(error, source, 'gzipped pages of features');
    }
  }
}

async function readIndex(path: string): Promise<FeatureIndex> {
  using source = await openFileSource(path);
  const packed = new Uint8Array(source.size);
  await source.read(0, packed);
  return parseFeatureIndex(packed, path);
}

class NumberedFolder implements PageSource {
  readonly name: string;
  readonly isLocal = true;

  constructor(folder: string) {
    this.name = folder;
  }

  async page(layer: number, feature: number): Promise<FeaturePage | null> {
    const path = join(this.name, `${pairingNumber(layer, feature)}.json`);
    if (!existsSync(path)) return null;
    return parsePage(await readJson(path, v.unknown()), path);
  }
}

async function hasNumberedFiles(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).some((name) => /^\d+\.json$/.test(name));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(errnoCode(error) ?? '')) return false;
    throw error;
  }
}
