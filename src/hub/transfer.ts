/**
 * Hub, step 3b: the bytes of one blob into its `.incomplete` file, continuing where an earlier run stopped.
 *
 * Bytes are written at their own offset in the file, which is never shortened while it is open: another process that writes
 * the same blob writes the same bytes, so that the file is not damaged even where the lock fails.
 */
import { constants, mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ContentDigest } from './digest.ts';
import { diskError } from './disk.ts';
import type { Answer, HubHttp } from './http.ts';
import { ProgressMeter, type DownloadProgress } from './progress.ts';
import type { Subject } from './refusal.ts';
import type { RepoFile } from './repo-file.ts';
import { PassingFault } from './retry.ts';

export interface Transfer {
  readonly file: RepoFile;
  readonly url: string;
  readonly subject: Subject;
  readonly incompletePath: string;
}

export interface TransferOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

const CHUNK_BYTES = 1 << 20; // for reading back what an earlier run left
const RANGE_NOT_SATISFIABLE = 416;

/** The server sent other bytes than the listing promised; seen before the digest could say so. */
class WrongContent extends Error {}

/** Fetches what is missing. True: complete, and the digest is right. False: complete, but not what the listing promised. */
export async function transfer(job: Transfer, http: HubHttp, options: TransferOptions): Promise<boolean> {
  const { file, incompletePath } = job;
  try {
    const handle = await openIncomplete(incompletePath, file.bytes);
    try {
      const writer = await BlobWriter.resume(
        handle,
        file,
        new ProgressMeter(file.path, file.bytes, options.onProgress ?? ignore),
      );
      await http.run((signal) => fetchRest(job, writer, http, signal), {
        signal: options.signal,
        progress: () => writer.furthest,
      });
      await handle.datasync(); // a blob must not get its name before its bytes are on the disk
      return writer.isRight();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof WrongContent) return false;
    throw diskError(error, incompletePath);
  }
}

async function fetchRest(
  job: Transfer,
  writer: BlobWriter,
  http: HubHttp,
  signal?: AbortSignal,
): Promise<void> {
  const { file, url, subject } = job;
  if (writer.offset === file.bytes) return;
  const headers = {
    'accept-encoding': 'identity', // a range counts bytes of the file, not of a packed form
    ...(writer.offset > 0 && { range: `bytes=${writer.offset}-` }),
  };
  const answer = await http.open({ url, subject, headers, accept: [RANGE_NOT_SATISFIABLE] }, signal);
  try {
    if (writer.offset !== startOf(answer, writer.offset, file)) writer.restart();
  } catch (error) {
    await answer.discard();
    throw error;
  }
  for await (const chunk of answer.chunks()) await writer.write(chunk);
  if (writer.offset < file.bytes) {
    throw new PassingFault(`${file.path} ended after ${writer.offset} of ${file.bytes} bytes`);
  }
}

/** The place in the file at which an answer starts: the one asked for, or 0 from a server that knows no ranges. */
function startOf({ status, headers, hubEtag }: Answer, askedFor: number, file: RepoFile): number {
  const isHash = hubEtag !== undefined && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(hubEtag);
  if (
    status === RANGE_NOT_SATISFIABLE ||
    (isHash && hubEtag.length === file.etag.length && hubEtag !== file.etag)
  ) {
    throw new WrongContent();
  }
  if (status !== 206) return 0;
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  if (!range || Number(range[1]) !== askedFor || (range[2] !== '*' && Number(range[2]) !== file.bytes)) {
    throw new WrongContent();
  }
  return askedFor;
}

async function openIncomplete(path: string, bytes: number): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true });
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT);
  if ((await handle.stat()).size <= bytes) return handle;
  await handle.close();
  await rm(path);
  return open(path, constants.O_RDWR | constants.O_CREAT);
}

/** Writes to the incomplete file, and updates digest and progress with every write. */
class BlobWriter {
  /** Bytes that are written and digested. */
  offset = 0;
  /** The largest offset so far: a restart from 0 is no progress until it is passed. */
  furthest = 0;
  #digest: ContentDigest;
  readonly #handle: FileHandle;
  readonly #file: RepoFile;
  readonly #meter: ProgressMeter;

  private constructor(handle: FileHandle, file: RepoFile, meter: ProgressMeter) {
    this.#handle = handle;
    this.#file = file;
    this.#meter = meter;
    this.#digest = new ContentDigest(file);
  }

  /** Reads the bytes that the file holds already, and continues after them. */
  static async resume(handle: FileHandle, file: RepoFile, meter: ProgressMeter): Promise<BlobWriter> {
    const writer = new BlobWriter(handle, file, meter);
    const buffer = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, writer.offset);
      if (bytesRead === 0) break;
      writer.#digest.update(buffer.subarray(0, bytesRead));
      writer.offset += bytesRead;
    }
    writer.furthest = writer.offset;
    meter.startAt(writer.offset);
    return writer;
  }

  restart(): void {
    this.offset = 0;
    this.#digest = new ContentDigest(this.#file);
    this.#meter.startAt(0);
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.offset + chunk.length > this.#file.bytes) throw new WrongContent();
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await this.#handle.write(chunk, done, chunk.length - done, this.offset + done);
      done += bytesWritten;
    }
    this.#digest.update(chunk);
    this.offset += chunk.length;
    this.furthest = Math.max(this.furthest, this.offset);
    this.#meter.advanceTo(this.offset);
  }

  isRight(): boolean {
    return this.#digest.matches();
  }
}

function ignore(): void {
  // no progress is reported
}
