/** Features, building: pages to disk in the published layout, one after the other, found through the offsets of the index. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeFileAtomic } from '../formats/atomic.ts';
import { acquireLock } from '../formats/lock.ts';
import {
  INDEX_FILE,
  LENGTH_BYTES,
  parseFeatureIndex,
  type FeatureIndex,
  type FeaturePage,
} from '../transcoder/feature-page.ts';

const GZIP = { level: 9 };
const WRITE_BYTES = 2 ** 20;

/** Writes the pages of a layer in the order of its features, complete or not at all; returns their entry of the index. */
export async function writeLayerPages(
  folder: string,
  layer: number,
  pages: AsyncIterable<FeaturePage> | Iterable<FeaturePage>,
  signal?: AbortSignal,
): Promise<FeatureIndex[string]> {
  const filename = `layer_${layer}.bin`;
  const offsets = [0];
  await writeFileAtomic(
    join(folder, filename),
    async (writer) => {
      let pending: Buffer[] = [];
      let pendingBytes = 0;
      for await (const page of pages) {
        const packed = packDocument(page);
        pending.push(packed);
        pendingBytes += packed.length;
        offsets.push(offsets.at(-1)! + packed.length);
        if (pendingBytes < WRITE_BYTES) continue;
        await writer.write(Buffer.concat(pending));
        pending = [];
        pendingBytes = 0;
      }
      await writer.write(Buffer.concat(pending));
    },
    { signal },
  );
  return { filename, offsets };
}

/** Length and gzipped JSON, as `parseChunk` reads them. */
export function packDocument(document: object, { level } = GZIP): Buffer {
  const packed = gzipSync(JSON.stringify(document), { level });
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(packed.length);
  return Buffer.concat([length, packed]);
}

/** Puts entries into the index of a folder; those of other layers stay. Throws `BadFileError` when what is there is damaged. */
export async function writeIndex(folder: string, entries: FeatureIndex, signal?: AbortSignal): Promise<void> {
  const path = join(folder, INDEX_FILE);
  await using _lock = await acquireLock(`${path}.lock`, { signal });
  const old = existsSync(path) ? parseFeatureIndex(await readFile(path), path) : {};
  const index = JSON.stringify({ ...old, ...entries });
  await writeFileAtomic(path, gzipSync(index, GZIP), { signal });
}
