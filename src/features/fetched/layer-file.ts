/**
 * Features, fetched: the file of a layer. It holds the pages of any of its features, each with its label behind it, and at its end the
 * table of where they lie; so one rename replaces a layer, and who has the earlier file open reads on in that.
 *
 * `TRFETCH1`, then for each feature its page and its label (length in 4 bytes, gzipped JSON; a label may be missing), then the table:
 * feature (uint32), place of the page (float64), lengths of page and label (uint32 each), by rising feature; then the place of
 * the table (float64), its number of entries (uint32) and `TRFETCH1`. All little-endian.
 */
import { BadFileError } from '../../errors.ts';
import { writeFileAtomic } from '../../formats/atomic.ts';
import { openFileSource, type ByteSource } from '../../formats/byte-source.ts';

const MAGIC = Buffer.from('TRFETCH1', 'latin1');
const ENTRY_BYTES = 20;
const FOOTER_BYTES = 8 + 4 + MAGIC.length;
const WRITE_BYTES = 2 ** 20;
/** Of one page or label. */
const LARGEST_DOCUMENT_BYTES = 64 * 2 ** 20;

/** A sixth of the time of the highest level, for 2% more bytes. */
export const GZIP = { level: 6 };

/** Packed, as `packDocument` does. */
export interface PackedFeature {
  readonly feature: number;
  readonly page: Uint8Array;
  readonly label: Uint8Array | null;
}

interface Entry {
  readonly feature: number;
  readonly start: number;
  readonly pageBytes: number;
  readonly labelBytes: number;
}

/** Writes the file complete or not at all. @param features by rising number */
export async function writeLayerFile(
  path: string,
  features: AsyncIterable<PackedFeature>,
  signal?: AbortSignal,
): Promise<void> {
  await writeFileAtomic(
    path,
    async (writer) => {
      const table: Buffer[] = [];
      let pending: Uint8Array[] = [MAGIC];
      let pendingBytes = MAGIC.length;
      let written = 0;
      const add = (bytes: Uint8Array): void => {
        pending.push(bytes);
        pendingBytes += bytes.byteLength;
      };
      const flush = async (): Promise<void> => {
        await writer.write(Buffer.concat(pending));
        written += pendingBytes;
        pending = [];
        pendingBytes = 0;
      };
      for await (const { feature, page, label } of features) {
        table.push(entryBytes(feature, written + pendingBytes, page.byteLength, label?.byteLength ?? 0));
        add(page);
        if (label) add(label);
        if (pendingBytes >= WRITE_BYTES) await flush();
      }
      const footer = Buffer.alloc(8 + 4);
      footer.writeDoubleLE(written + pendingBytes, 0);
      footer.writeUInt32LE(table.length, 8);
      for (const part of [...table, footer, MAGIC]) add(part);
      await flush();
    },
    { signal },
  );
}

function entryBytes(feature: number, start: number, pageBytes: number, labelBytes: number): Buffer {
  const entry = Buffer.alloc(ENTRY_BYTES);
  entry.writeUInt32LE(feature, 0);
  entry.writeDoubleLE(start, 4);
  entry.writeUInt32LE(pageBytes, 12);
  entry.writeUInt32LE(labelBytes, 16);
  return entry;
}

/** The table of a file, which may be kept while the file itself is closed. */
export class LayerTable {
  readonly size: number;
  readonly #bytes: Buffer;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.size = bytes.length / ENTRY_BYTES;
  }

  /** Throws `BadFileError` for a file that is damaged or of another kind. */
  static async read(source: ByteSource): Promise<LayerTable> {
    const footer = Buffer.alloc(FOOTER_BYTES);
    const end = source.size - FOOTER_BYTES;
    if (end < MAGIC.length) throw damaged(source.name, 'it is too short');
    await source.read(end, footer);
    const [start, n] = [footer.readDoubleLE(0), footer.readUInt32LE(8)];
    if (!footer.subarray(12).equals(MAGIC) || start !== end - n * ENTRY_BYTES || start < MAGIC.length)
      throw damaged(source.name, 'its end is not that of such a file');
    const bytes = Buffer.alloc(n * ENTRY_BYTES);
    await source.read(start, bytes);
    const table = new LayerTable(bytes);
    table.#check(source.name, start);
    return table;
  }

  feature(i: number): number {
    return this.#bytes.readUInt32LE(i * ENTRY_BYTES);
  }

  has(feature: number): boolean {
    return this.find(feature) !== null;
  }

  /** Null where there is nothing of the feature. */
  find(feature: number): Entry | null {
    let [low, high] = [0, this.size];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.feature(middle) < feature) low = middle + 1;
      else high = middle;
    }
    return low < this.size && this.feature(low) === feature ? this.#entry(low) : null;
  }

  #entry(i: number): Entry {
    const at = i * ENTRY_BYTES;
    return {
      feature: this.feature(i),
      start: this.#bytes.readDoubleLE(at + 4),
      pageBytes: this.#bytes.readUInt32LE(at + 12),
      labelBytes: this.#bytes.readUInt32LE(at + 16),
    };
  }

  #check(name: string, end: number): void {
    let last = -1;
    let from = MAGIC.length;
    for (let i = 0; i < this.size; i++) {
      const { feature, start, pageBytes, labelBytes } = this.#entry(i);
      const isWhole = start === from && start + pageBytes + labelBytes <= end;
      if (feature <= last || !isWhole || Math.max(pageBytes, labelBytes) > LARGEST_DOCUMENT_BYTES)
        throw damaged(name, `entry ${i} of its table is wrong`);
      last = feature;
      from = start + pageBytes + labelBytes;
    }
    if (from !== end) throw damaged(name, 'its table leaves a part of it out');
  }
}

export async function readPage(source: ByteSource, { start, pageBytes }: Entry): Promise<Uint8Array> {
  const page = new Uint8Array(pageBytes);
  await source.read(start, page);
  return page;
}

/** Null where the feature has none. */
export async function readLabel(
  source: ByteSource,
  { start, pageBytes, labelBytes }: Entry,
): Promise<Uint8Array | null> {
  if (labelBytes === 0) return null;
  const label = new Uint8Array(labelBytes);
  await source.read(start + pageBytes, label);
  return label;
}

/** The pages and labels of a file, by rising feature; none where there is no file. */
export async function* packedFeatures(path: string | null): AsyncGenerator<PackedFeature> {
  if (path === null) return;
  using source = await openFileSource(path);
  const table = await LayerTable.read(source);
  for (let i = 0; i < table.size; i++) {
    const entry = table.find(table.feature(i))!;
    yield {
      feature: entry.feature,
      page: await readPage(source, entry),
      label: await readLabel(source, entry),
    };
  }
}

function damaged(name: string, why: string): BadFileError {
  return new BadFileError({
    code: 'bad_fetched_pages',
    message: `${name} is damaged: ${why}`,
    hint: 'Remove the file, and fetch the features of this layer again.',
  });
}
