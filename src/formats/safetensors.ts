/**
 * Files, step 4 (safetensors): 8 bytes with the header's length, a JSON header, then the numbers.
 * The header is not trusted: every number in it is checked before memory is allocated by it.
 * Format: https://github.com/huggingface/safetensors#format
 */
import { BadFileError } from '../errors.ts';
import { openFileSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { byteLengthOf } from './dtype.ts';
import { findDuplicateKey } from './duplicate-keys.ts';
import { isPacked } from './packed.ts';
import { orSavedInstead } from './saved-instead.ts';
import { shown, shownName } from './shown.ts';
import { readInBatches, tensorFile } from './tensor-reader.ts';
import type { TensorFile, TensorInfo } from './tensor-file.ts';

export const LENGTH_BYTES = 8;
/** The reference implementation's limit; a header of ten thousand tensors has 1 MiB. */
export const LARGEST_HEADER_BYTES = 100_000_000;
export const METADATA_KEY = '__metadata__';
const OPENING_BRACE = 0x7b;

/** A tensor and where its bytes lie, counted from the end of the header. */
interface Placed extends TensorInfo {
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads and checks the header; tensors are read when asked for. The source (or the file opened for a path) belongs to the
 * result and is closed with it, also when opening fails. Throws `BadFileError` for anything the format forbids:
 * a wrong length, overlaps, gaps, bytes that belong to no tensor, a name given twice. A tensor of a type that is not known
 * is listed, and refused when it is read.
 */
export async function openSafetensors(sourceOrPath: ByteSource | string): Promise<TensorFile> {
  const source = typeof sourceOrPath === 'string' ? await openFileSource(sourceOrPath) : sourceOrPath;
  try {
    const { entries, dataStart } = await readHeader(source);
    const { [METADATA_KEY]: metadata, ...listed } = entries;
    const placed = Object.entries(listed).map(([name, entry]) => parseEntry(source.name, name, entry));
    checkLayout(source.name, placed, source.size - dataStart);
    const places = new Map(placed.map((tensor) => [tensor.name, tensor.begin]));
    return tensorFile({
      name: source.name,
      metadata: parseMetadata(source.name, metadata),
      tensors: new Map(placed.map(({ begin: _begin, end: _end, ...info }) => [info.name, info])),
      location: ({ name }) =>
        source.location && { ...source.location, offset: dataStart + places.get(name)! },
      readRuns: ({ name }, runs) => {
        const start = dataStart + places.get(name)!;
        return readInBatches(runs, (offset, target) => source.read(start + offset, target));
      },
      [Symbol.dispose]: () => source[Symbol.dispose](),
    });
  } catch (error) {
    using _closed = source;
    throw await orSavedInstead(error, source, 'a safetensors file');
  }
}

function damaged(code: string, message: string, cause?: unknown): BadFileError {
  return new BadFileError({
    code,
    message,
    hint: 'The file is damaged, incomplete or not a safetensors file. Fetch it again.',
    cause,
  });
}

async function readHeader(source: ByteSource) {
  const { name, size } = source;
  if (size < LENGTH_BYTES) {
    throw damaged(
      'safetensors_header',
      `${name}: a safetensors file has at least 8 bytes, this one has ${size}`,
    );
  }
  const lengthField = Buffer.alloc(LENGTH_BYTES);
  await source.read(0, lengthField);
  const claimed = lengthField.readBigUInt64LE();
  if (claimed > BigInt(Math.min(LARGEST_HEADER_BYTES, size - LENGTH_BYTES))) {
    throw damaged(
      'safetensors_header',
      `${name}: the header claims ${claimed.toString()} bytes; the file has ${size} and the format allows ${LARGEST_HEADER_BYTES}`,
    );
  }
  const bytes = new Uint8Array(Number(claimed));
  await source.read(LENGTH_BYTES, bytes);
  return { entries: parseHeader(name, bytes), dataStart: LENGTH_BYTES + bytes.length };
}

function parseHeader(name: string, bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    throw damaged('safetensors_header', `${name}: the header is not JSON in UTF-8`, cause);
  }
  if (bytes[0] !== OPENING_BRACE || !isRecord(header)) {
    throw damaged('safetensors_header', `${name}: the header must be a JSON object`);
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined)
    throw damaged('safetensors_header', `${name}: the header has the key ${shownName(twice)} twice`);
  return header;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Null is the same as absent to the reference implementation. */
function parseMetadata(file: string, given: unknown): Record<string, string> {
  const metadata = given ?? {};
  const isText = (entry: [string, unknown]): entry is [string, string] => typeof entry[1] === 'string';
  if (!isRecord(metadata))
    throw damaged('safetensors_header', `${file}: ${METADATA_KEY} must be a JSON object`);
  const texts = Object.entries(metadata).filter(isText);
  if (texts.length !== Object.keys(metadata).length) {
    throw damaged('safetensors_header', `${file}: every value in ${METADATA_KEY} must be a text`);
  }
  return Object.fromEntries(texts);
}

function parseEntry(file: string, name: string, entry: unknown): Placed {
  const where = `${file}: tensor ${shownName(name)}`;
  if (!isRecord(entry))
    throw damaged('safetensors_header', `${where}: its header entry must be a JSON object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string') {
    throw damaged('tensor_dtype', `${where} has dtype ${shown(dtype)}; expected a name such as "F32"`);
  }
  if (isPacked(dtype))
    throw damaged('tensor_dtype', `${where} has dtype ${dtype}, which only GGUF files have`);
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw damaged('tensor_shape', `${where} has shape ${shown(shape)}; expected non-negative whole numbers`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw damaged('tensor_offsets', `${where} has data_offsets ${shown(offsets)}; expected [begin, end]`);
  }
  const [begin, end] = offsets as [number, number];
  const byteLength = end - begin;
  const needed = byteLengthOf(dtype, shape) ?? byteLength;
  if (byteLength !== needed || byteLength < 0) {
    throw damaged(
      'tensor_offsets',
      `${where}: ${shownName(dtype)} of shape ${shown(shape)} needs ${needed} bytes, its offsets span ${byteLength}`,
    );
  }
  return { name, dtype, shape, byteLength, begin, end };
}

/** Sorts by place in the file; throws unless the tensors cover the data exactly once, as the format demands. */
function checkLayout(file: string, placed: Placed[], dataBytes: number): void {
  placed.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of placed) {
    if (begin !== covered) {
      const fault = begin < covered ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw damaged(
        'tensor_offsets',
        `${file}: tensor ${shownName(name)} ${fault}: it begins at ${begin}, expected ${covered}`,
      );
    }
    covered = end;
  }
  if (covered !== dataBytes) {
    throw damaged(
      covered > dataBytes ? 'file_truncated' : 'tensor_offsets',
      `${file}: the header describes ${covered} bytes of tensors, the file holds ${dataBytes}`,
    );
  }
}
