/**
 * Files, step 4 (GGUF): metadata, the places of the tensors, then their numbers, each at a multiple of the alignment.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { BadFileError } from '../errors.ts';
import { openFileSource, type ByteSource } from './byte-source.ts';
import { ELEMENT_BYTES } from './dtype.ts';
import { damagedGguf, GgufCursor, type GgufValue } from './gguf-values.ts';
import { PACKED_BLOCKS, type BlockSize } from './packed.ts';
import { orSavedInstead } from './saved-instead.ts';
import { shown, shownName } from './shown.ts';
import type { TensorFile, TensorInfo } from './tensor-file.ts';
import { readInBatches, tensorFile } from './tensor-reader.ts';

export const GGUF_MAGIC = 'GGUF';
const VERSIONS = [2, 3];
const DEFAULT_ALIGNMENT = 32;
const ALIGNMENT_KEY = 'general.alignment';
const MOST_DIMENSIONS = 4;
/** A key has a length and a type, a tensor a name, dimensions, a type and an offset. */
const LEAST_KEY_BYTES = 13;
const LEAST_TENSOR_BYTES = 33;

const single = (type: keyof typeof ELEMENT_BYTES): [string, BlockSize] => [
  type,
  { numbers: 1, bytes: ELEMENT_BYTES[type] },
];
const packed = (type: keyof typeof PACKED_BLOCKS): [string, BlockSize] => [type, PACKED_BLOCKS[type]];
const other = (type: string, numbers: number, bytes: number): [string, BlockSize] => [
  type,
  { numbers, bytes },
];

/** Types of tensors by ggml's number. Those that are not read are listed, for the sizes of the tensors that have them. */
const TYPES: ReadonlyMap<number, [string, BlockSize]> = new Map([
  [0, single('F32')],
  [1, single('F16')],
  [2, packed('Q4_0')],
  [3, packed('Q4_1')],
  [6, packed('Q5_0')],
  [7, packed('Q5_1')],
  [8, packed('Q8_0')],
  [9, other('Q8_1', 32, 36)],
  [10, other('Q2_K', 256, 84)],
  [11, other('Q3_K', 256, 110)],
  [12, packed('Q4_K')],
  [13, packed('Q5_K')],
  [14, packed('Q6_K')],
  [15, other('Q8_K', 256, 292)],
  [16, other('IQ2_XXS', 256, 66)],
  [17, other('IQ2_XS', 256, 74)],
  [18, other('IQ3_XXS', 256, 98)],
  [19, other('IQ1_S', 256, 50)],
  [20, other('IQ4_NL', 32, 18)],
  [21, other('IQ3_S', 256, 110)],
  [22, other('IQ2_S', 256, 82)],
  [23, other('IQ4_XS', 256, 136)],
  [24, single('I8')],
  [25, single('I16')],
  [26, single('I32')],
  [27, single('I64')],
  [28, single('F64')],
  [29, other('IQ1_M', 256, 56)],
  [30, single('BF16')],
  [34, other('TQ1_0', 256, 54)],
  [35, other('TQ2_0', 256, 66)],
  [39, packed('MXFP4')],
]);

/** Metadata by key. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

export interface GgufFile extends TensorFile {
  /** The metadata with its types; `metadata` has its texts alone. */
  readonly values: GgufMetadata;
}

interface Placed extends TensorInfo {
  /** From the start of the file. */
  readonly begin: number;
}

/**
 * Reads and checks the header; tensors are read when asked for. The source (or the file opened for a path) belongs to the
 * result and is closed with it, also when opening fails. Shapes are in the order of safetensors, rows first. Throws
 * `BadFileError` for what the format forbids: wrong counts and lengths, unknown types, a key or name given twice, tensors that
 * are not aligned, overlap, leave holes or lie outside the file.
 */
export async function openGguf(sourceOrPath: ByteSource | string): Promise<GgufFile> {
  const source = typeof sourceOrPath === 'string' ? await openFileSource(sourceOrPath) : sourceOrPath;
  try {
    const { values, placed } = await readHeader(source);
    const places = new Map(placed.map(({ name, begin }) => [name, begin]));
    const texts = [...values].filter((entry): entry is [string, string] => typeof entry[1] === 'string');
    const file = tensorFile({
      name: source.name,
      metadata: Object.fromEntries(texts),
      tensors: new Map(placed.map(({ begin: _begin, ...info }) => [info.name, info])),
      location: ({ name }) => source.location && { ...source.location, offset: places.get(name)! },
      readRuns: ({ name }, runs) => {
        const start = places.get(name)!;
        return readInBatches(runs, (offset, target) => source.read(start + offset, target));
      },
      [Symbol.dispose]: () => source[Symbol.dispose](),
    });
    return { ...file, values };
  } catch (error) {
    using _closed = source;
    throw await orSavedInstead(error, source, 'a GGUF file');
  }
}

async function readHeader(source: ByteSource): Promise<{ values: GgufMetadata; placed: Placed[] }> {
  const cursor = new GgufCursor(source);
  const magic = await cursor.magic(GGUF_MAGIC.length);
  if (magic !== GGUF_MAGIC) throw damagedGguf('unknown_format', `${source.name} does not begin with "GGUF"`);
  checkVersion(source.name, await cursor.uint32('the version'));
  const nTensors = await cursor.count('the number of tensors', LEAST_TENSOR_BYTES);
  const nKeys = await cursor.count('the number of keys', LEAST_KEY_BYTES);
  const values = new Map<string, GgufValue>();
  for (let i = 0; i < nKeys; i++) {
    const key = await cursor.name(`key ${i} of the metadata`);
    if (values.has(key))
      throw damagedGguf('gguf_header', `${source.name} has the key ${shownName(key)} twice`);
    values.set(key, await cursor.value(key));
  }
  const alignment = readAlignment(source.name, values.get(ALIGNMENT_KEY));
  const listed: Placed[] = [];
  for (let i = 0; i < nTensors; i++) listed.push(await readTensor(source.name, cursor, i));
  return { values, placed: placedTensors(source, listed, alignment, cursor.offset) };
}

function checkVersion(name: string, version: number): void {
  if (VERSIONS.includes(version)) return;
  // A file of another byte order has its version in the upper bytes.
  const isBigEndian = (version & 0xffff) === 0;
  throw new BadFileError({
    code: 'gguf_version',
    message: isBigEndian
      ? `${name} is a big-endian GGUF file`
      : `${name} has version ${version} of GGUF; known are ${VERSIONS.join(' and ')}`,
    hint: 'Convert the model again with a current llama.cpp, for a little-endian machine.',
  });
}

function readAlignment(name: string, value: GgufValue | undefined): number {
  if (value === undefined) return DEFAULT_ALIGNMENT;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && (value & (value - 1)) === 0)
    return value;
  throw damagedGguf(
    'gguf_alignment',
    `${name}: ${ALIGNMENT_KEY} is ${typeof value === 'object' ? 'a list' : shown(value)}; expected a power of two`,
  );
}

/** The entry of a tensor; `begin` counts from the start of the data. */
async function readTensor(file: string, cursor: GgufCursor, index: number): Promise<Placed> {
  const name = await cursor.name(`the name of tensor ${index}`);
  const where = `${file}: tensor ${shownName(name)}`;
  const nDimensions = await cursor.uint32(`the dimensions of ${name}`);
  if (nDimensions < 1 || nDimensions > MOST_DIMENSIONS)
    throw damagedGguf(
      'tensor_shape',
      `${where} has ${nDimensions} dimensions; expected 1 to ${MOST_DIMENSIONS}`,
    );
  const shape: number[] = [];
  for (let i = 0; i < nDimensions; i++) shape.unshift(await cursor.size(`a dimension of ${name}`));
  const type = await cursor.uint32(`the type of ${name}`);
  const begin = await cursor.size(`the offset of ${name}`);
  const known = TYPES.get(type);
  if (!known)
    throw damagedGguf('tensor_dtype', `${where} has type ${type} of ggml; known are ${knownTypes()}`);
  const [dtype, block] = known;
  const columns = shape.at(-1)!;
  if (columns % block.numbers !== 0) {
    throw damagedGguf(
      'tensor_shape',
      `${where} has rows of ${columns} numbers; ${dtype} has blocks of ${block.numbers}`,
    );
  }
  const byteLength = (shape.reduce((product, size) => product * size, 1) / block.numbers) * block.bytes;
  if (!Number.isSafeInteger(byteLength))
    throw damagedGguf('tensor_shape', `${where} has shape ${shown(shape)}, more than a file can hold`);
  return { name, dtype, shape, byteLength, begin };
}

function knownTypes(): string {
  return [...TYPES].map(([number, [name]]) => `${number} (${name})`).join(', ');
}

/** The tensors in the order of their numbers. Throws unless each begins where the one before it ends, but for padding. */
function placedTensors(source: ByteSource, listed: Placed[], alignment: number, headerEnd: number): Placed[] {
  const padded = (at: number): number => Math.ceil(at / alignment) * alignment;
  const dataStart = padded(headerEnd);
  const names = new Set<string>();
  let expected = 0;
  return listed
    .sort((a, b) => a.begin - b.begin || a.byteLength - b.byteLength)
    .map(({ begin, ...info }) => {
      const where = `${source.name}: tensor ${shownName(info.name)}`;
      if (names.has(info.name)) throw damagedGguf('gguf_header', `${where} is listed twice`);
      names.add(info.name);
      if (begin !== expected) {
        const isAligned = begin % alignment === 0;
        const fault = !isAligned ? `is not aligned to ${alignment} bytes` : 'overlaps the one before it';
        throw damagedGguf(
          'tensor_offsets',
          `${where} ${isAligned && begin > expected ? 'leaves a hole before it' : fault}: it begins at ${begin}, expected ${expected}`,
        );
      }
      const end = dataStart + begin + info.byteLength;
      if (end > source.size) {
        throw damagedGguf('file_truncated', `${where} ends at ${end}, but the file has ${source.size} bytes`);
      }
      expected = padded(begin + info.byteLength);
      return { ...info, begin: dataStart + begin };
    });
}
