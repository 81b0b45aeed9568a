/** Files, step 3 of npz and of PyTorch's files: the members of a zip archive and where their bytes lie, over any `ByteSource`. ZIP64 included. */
import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { fromRandomAccessReaderPromise, RandomAccessReader } from 'yauzl';
import type { Entry, ZipFile } from 'yauzl';
import { BadFileError, TracerError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { shownName } from './shown.ts';
import { messageOf } from './system-errors.ts';

export interface ZipMember {
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  /** Place of the (perhaps compressed) bytes in the archive. */
  readonly dataStart: number;
  readonly compressedBytes: number;
  /** Length once inflated, as the archive claims. */
  readonly byteLength: number;
  readonly crc32: number;
  /** The bytes in pieces; it throws when they are more or fewer than `byteLength`. Deflated members only. */
  inflate(): AsyncIterable<Uint8Array>;
}

/** Method numbers of the format (APPNOTE.TXT 4.4.5). */
const STORED = 0;
const DEFLATED = 8;
/** The largest ratio of deflate (zlib's technical notes); a larger claim is refused before anything is allocated. */
const MOST_INFLATION = 1032;
/** Signature before each entry of the directory. */
const DIRECTORY_ENTRY = 0x02014b50;
const READ_BYTES = 2 ** 20;

/** Lets yauzl read from a `ByteSource`. */
class SourceReader extends RandomAccessReader {
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    super();
    this.#source = source;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.#source.read(position, buffer.subarray(offset, offset + length)).then(
      () => callback(null, length),
      (error: unknown) => callback(error as Error),
    );
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(this.#pieces(start, end), { objectMode: false });
  }

  async *#pieces(start: number, end: number) {
    for (let at = start; at < end; at += READ_BYTES) {
      const piece = Buffer.alloc(Math.min(READ_BYTES, end - at));
      await this.#source.read(at, piece);
      yield piece;
    }
  }
}

/**
 * Lists the members of a zip archive. Throws `BadFileError` when it is damaged, encrypted or compressed by another method,
 * when two members have one name or share bytes, or when a size is impossible.
 */
export async function readZip(source: ByteSource): Promise<ZipMember[]> {
  const members: (ZipMember & { readonly headerStart: number })[] = [];
  try {
    const zip = await fromRandomAccessReaderPromise(new SourceReader(source), source.size, {
      autoClose: false,
    });
    for await (const entry of zip.eachEntry()) {
      const member = await readMember(source, zip, entry);
      members.push({ ...member, headerStart: entry.relativeOffsetOfLocalHeader });
    }
    // A number, although its type declaration differs: the offset after the last entry that was counted.
    await checkDirectoryEnds(source, zip.readEntryCursor as unknown as number);
  } catch (cause) {
    throw zipError(source.name, cause);
  }
  members.sort((a, b) => a.headerStart - b.headerStart);
  const names = new Set<string>();
  let free = 0;
  for (const { name, headerStart, dataStart, compressedBytes } of members) {
    if (names.has(name)) throw damaged(source.name, `the member ${shownName(name)} is there twice`);
    if (headerStart < free)
      throw damaged(source.name, `the member ${shownName(name)} overlaps the one before it`);
    names.add(name);
    free = dataStart + compressedBytes;
  }
  return members;
}

/** The number of entries is stored outside the directory; a number too small would hide members. */
async function checkDirectoryEnds(source: ByteSource, end: number): Promise<void> {
  const signature = Buffer.alloc(4);
  await source.read(end, signature);
  if (signature.readUInt32LE() === DIRECTORY_ENTRY) {
    throw damaged(source.name, 'its directory has more members than it counts');
  }
}

async function readMember(source: ByteSource, zip: ZipFile, entry: Entry): Promise<ZipMember> {
  const { fileName: name, compressedSize: compressedBytes, uncompressedSize: byteLength, crc32 } = entry;
  const where = `the member ${shownName(name)}`;
  if (!entry.canDecodeFileData()) {
    throw damaged(source.name, `${where} is encrypted or compressed by method ${entry.compressionMethod}`);
  }
  // Also checks that the member lies inside the file.
  const local = await zip.readLocalFileHeaderPromise(entry);
  if (!local.fileName.equals(entry.fileNameRaw)) {
    throw damaged(source.name, `${where} has another name at its place than in the directory`);
  }
  const method = entry.compressionMethod === STORED ? 'stored' : 'deflated';
  if (entry.compressionMethod === DEFLATED && byteLength > compressedBytes * MOST_INFLATION) {
    throw damaged(source.name, `${where} claims that ${compressedBytes} bytes inflate to ${byteLength}`);
  }
  const inflate = () => inflatedPieces(source.name, name, zip, entry);
  return { name, method, dataStart: local.fileDataStart, compressedBytes, byteLength, crc32, inflate };
}

/** CRC-32 of `data` after what `sum` covers. Node has it since 20.15; before, the check is left out. */
export function crc32(data: Uint8Array, sum = 0): number {
  return zlib.crc32?.(data, sum) ?? 0;
}

/** Whether a member's bytes have the checksum that the archive says. */
export function hasChecksum(member: ZipMember, sum: number): boolean {
  return sum === member.crc32 || !zlib.crc32;
}

async function* inflatedPieces(archive: string, member: string, zip: ZipFile, entry: Entry) {
  try {
    const stream = await zip.openReadStreamPromise(entry);
    for await (const piece of stream) yield piece as Uint8Array;
  } catch (cause) {
    throw zipError(`${archive}: member ${shownName(member)}`, cause);
  }
}

function damaged(archive: string, fault: string, cause?: unknown): BadFileError {
  return new BadFileError({
    code: 'zip_damaged',
    message: `${archive}: ${fault}`,
    hint: 'The archive is damaged, incomplete, or not one that NumPy or PyTorch wrote. Fetch it again.',
    cause,
  });
}

/** The zip library reports damage as plain `Error`s; our own errors are passed on unchanged. */
function zipError(where: string, cause: unknown): TracerError {
  if (cause instanceof TracerError) return cause;
  return damaged(where, messageOf(cause), cause);
}
