/** What the tests of this room share: real files, hand-made archives, and the check that an error is of the promised kind. */
import { expect } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { TracerError } from '../../src/errors.ts';
import type { TensorFile, TensorInfo } from '../../src/formats/tensor-file.ts';

export const GOLDEN = fileURLToPath(new URL('../fixtures/golden', import.meta.url));

/** The npz of one layer of a fixture's Gemma Scope set; its folder's name holds a measured number. */
export function gemmaScopePath(fixture: string, layer: number): string {
  const folder = join(GOLDEN, fixture, 'transcoders/gemmascope');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return join(
    folder,
    files.find((path) => path.startsWith(`layer_${layer}`) && path.endsWith('.npz'))!,
  );
}

/** A folder that is gone at the end of the block. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'formats-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export const bytesOf = (path: string) => new Uint8Array(readFileSync(path));

/** What `work` throws, which has to be a `TracerError`. */
export function refusal(work: () => unknown): TracerError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(TracerError);
    return error as TracerError;
  }
  throw new Error('nothing was refused');
}

/** Waits for a refusal and returns it; anything but a `TracerError` fails the test. */
export async function refusalOf(work: Promise<unknown>): Promise<TracerError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(TracerError);
  return error as TracerError;
}

export type Contents = Map<string, { readonly info: TensorInfo; readonly bytes: Uint8Array }>;

/** Everything in a file, which is closed afterwards. */
export async function contentsOf(opening: Promise<TensorFile>): Promise<Contents> {
  using file = await opening;
  const contents: Contents = new Map();
  for (const [name, info] of file.tensors) contents.set(name, { info, bytes: await file.read(name) });
  return contents;
}

/** A safetensors file with the header as it is given, true or not. */
export function safetensors(header: unknown, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.byteLength));
  return new Uint8Array(Buffer.concat([length, json, data]));
}

export interface NpyParts {
  readonly header?: string;
  readonly version?: number;
  readonly data: Uint8Array;
}

/** A NumPy array; without a header a list of float32. */
export function npy({ header, version = 1, data }: NpyParts): Uint8Array {
  const text = header ?? `{'descr': '<f4', 'fortran_order': False, 'shape': (${data.byteLength / 4},), }\n`;
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(text.length);
  else length.writeUInt32LE(text.length);
  const start = Buffer.concat([Buffer.from('\x93NUMPY', 'latin1'), Buffer.from([version, 0]), length]);
  return new Uint8Array(Buffer.concat([start, Buffer.from(text, 'latin1'), data]));
}

export interface ZipPart {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly deflate?: boolean;
  /** Sizes and place in the extra field of ZIP64, as NumPy writes large archives. */
  readonly zip64?: boolean;
  /** What the directory claims instead of the truth. */
  readonly claims?: {
    readonly byteLength?: number;
    readonly crc32?: number;
    readonly place?: number;
    readonly flags?: number;
  };
}

const ABSENT = 0xffffffff;

/** A zip archive, by the book but for its claims. */
export function zip(parts: readonly ZipPart[]): Uint8Array {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let place = 0;
  for (const part of parts) {
    const body = part.deflate ? zlib.deflateRawSync(part.bytes) : Buffer.from(part.bytes);
    const name = Buffer.from(part.name);
    const method = part.deflate ? 8 : 0;
    const crc32 = part.claims?.crc32 ?? zlib.crc32(part.bytes);
    const byteLength = part.claims?.byteLength ?? part.bytes.byteLength;
    const claimed = part.deflate ? body.byteLength : byteLength;
    const at = part.claims?.place ?? place;

    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(method, 8);
    local.writeUInt16LE(name.byteLength, 26);
    locals.push(local, name, body);

    const extra = part.zip64 ? Buffer.alloc(28) : Buffer.alloc(0);
    if (part.zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(byteLength), 4);
      extra.writeBigUInt64LE(BigInt(claimed), 12);
      extra.writeBigUInt64LE(BigInt(at), 20);
    }
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(part.claims?.flags ?? 0, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(crc32, 16);
    entry.writeUInt32LE(part.zip64 ? ABSENT : claimed, 20);
    entry.writeUInt32LE(part.zip64 ? ABSENT : byteLength, 24);
    entry.writeUInt16LE(name.byteLength, 28);
    entry.writeUInt16LE(extra.byteLength, 30);
    entry.writeUInt32LE(part.zip64 ? ABSENT : at, 42);
    directory.push(entry, name, extra);
    place += local.byteLength + name.byteLength + body.byteLength;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(parts.length, 8);
  end.writeUInt16LE(parts.length, 10);
  end.writeUInt32LE(entries.byteLength, 12);
  end.writeUInt32LE(place, 16);
  return new Uint8Array(Buffer.concat([...locals, entries, end]));
}
