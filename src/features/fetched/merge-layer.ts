/** Features, fetched: new pages of a layer into its file, which is written anew and put in place of the old one. */
import { existsSync } from 'node:fs';
import { parsePage, type FeaturePage } from '../../transcoder/feature-page.ts';
import { packDocument } from '../write-pages.ts';
import { labelDocument, layerPath } from './fetched-features.ts';
import { GZIP, packedFeatures, writeLayerFile, type PackedFeature } from './layer-file.ts';

export interface NewPage {
  readonly feature: number;
  readonly page: FeaturePage;
}

export interface MergedLayer {
  readonly n_pages: number;
  readonly n_labels: number;
  /** Of the new pages, those that were taken. */
  readonly n_new: number;
}

export interface MergeOptions {
  readonly layer: number;
  /** Whether a new page takes the place of one that is there. */
  readonly replaces: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** @param pages by rising feature */
export async function mergeLayer(
  folder: string,
  pages: AsyncIterable<NewPage>,
  { layer, replaces, signal }: MergeOptions,
): Promise<MergedLayer> {
  const counts = { n_pages: 0, n_labels: 0, n_new: 0 };
  const path = layerPath(folder, layer);
  const old = packedFeatures(existsSync(path) ? path : null);
  try {
    await writeLayerFile(path, merged(old, pages, replaces, counts), signal);
  } finally {
    await old.return(undefined); // closes the old file, also where writing failed
  }
  return counts;
}

async function* merged(
  old: AsyncIterator<PackedFeature>,
  pages: AsyncIterable<NewPage>,
  replaces: boolean,
  counts: { n_pages: number; n_labels: number; n_new: number },
): AsyncGenerator<PackedFeature> {
  const count = (one: PackedFeature): PackedFeature => {
    counts.n_pages++;
    if (one.label) counts.n_labels++;
    return one;
  };
  let there = await old.next();
  for await (const { feature, page } of pages) {
    for (; there.done !== true && there.value.feature < feature; there = await old.next()) {
      yield count(there.value);
    }
    if (there.done !== true && there.value.feature === feature) {
      const kept = there.value;
      there = await old.next();
      if (!replaces) {
        yield count(kept);
        continue;
      }
    }
    counts.n_new++;
    const label = labelDocument(page);
    // Through the schema, so that fields are in one order whichever way the page came.
    const document = parsePage(page, `page of feature ${feature}`);
    yield count({ feature, page: packDocument(document, GZIP), label: label && packDocument(label, GZIP) });
  }
  for (; there.done !== true; there = await old.next()) yield count(there.value);
}
