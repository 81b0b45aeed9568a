/**
 * Files, step 5 of pickles: what `torch.save` wrote (its zip form, PyTorch 1.6 and later), read as data. `data.pkl` says which
 * tensors there are, `data/<key>` has the numbers of each storage. Format: PyTorch's notes on serialization.
 */
import { BadFileError } from '../errors.ts';
import { openFileSource, type ByteSource } from './byte-source.ts';
import { ELEMENT_BYTES } from './dtype.ts';
import { readPickle } from './pickle-reader.ts';
import type { NameUse, PickleNames, PickleValue } from './pickle-values.ts';
import { orSavedInstead } from './saved-instead.ts';
import { shownName } from './shown.ts';
import type { ElementType } from './tensor-file.ts';
import { allocate } from './tensor-reader.ts';
import { gather } from './strided.ts';
import { REBUILD_TENSOR, STORAGES, tensorPlace } from './torch-tensor.ts';
import { crc32, hasChecksum, readZip, type ZipMember } from './zip.ts';

/** Names that a file of tensors has, beside those of its own objects. */
const TORCH_NAMES: PickleNames = new Map<string, NameUse>([
  [REBUILD_TENSOR, 'call'],
  // Hooks of a tensor, which are always empty in a file.
  ['collections OrderedDict', 'call'],
  ['torch device', 'call'],
  ...[...STORAGES.keys()].map((name) => [name, 'mention'] as const),
  ...['float64', 'float32', 'float16', 'bfloat16'].map((type) => [`torch ${type}`, 'mention'] as const),
]);

const EXPECTED = 'a file that torch.save wrote';
const PICKLE_MEMBER = 'data.pkl';
/** Objects take up to a hundred times the bytes that describe them. A graph's pickle has a few thousand. */
const LARGEST_PICKLE_BYTES = 4 * 2 ** 20;
const LONGEST_BYTE_ORDER = 16;
const ZIP = 'PK';
const PICKLE_START = 0x80;

export interface TorchTensor {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  /** The numbers, row-major. */
  readonly bytes: Uint8Array;
}

/** An opened file. */
export interface TorchFile extends Disposable {
  readonly name: string;
  /** What was saved. */
  readonly value: PickleValue;
  /** The numbers of a tensor in `value`. Throws `BadFileError` when it is none, or does not fit its storage. */
  tensor(value: PickleValue | undefined, what: string): Promise<TorchTensor>;
}

/**
 * Opens a file and reads its pickle, running nothing. The source belongs to the result, also when opening fails. Throws `NotFoundError` when it is missing, and `BadFileError` when it is
 * damaged, in another form, or has names that are not listed.
 * @param names of the objects that may be in it, beside tensors
 */
export async function openTorchFile(
  sourceOrPath: ByteSource | string,
  names: PickleNames,
): Promise<TorchFile> {
  const source = typeof sourceOrPath === 'string' ? await openFileSource(sourceOrPath) : sourceOrPath;
  try {
    await checkForm(source);
    const members = await readZip(source);
    const pickle = onlyPickle(source.name, members);
    const folder = pickle.name.slice(0, -PICKLE_MEMBER.length);
    const byName = new Map(members.map((member) => [member.name, member]));
    await checkByteOrder(source, byName.get(`${folder}byteorder`));
    const bytes = await readMember(source, pickle, LARGEST_PICKLE_BYTES);
    const storages = new Storages(source, folder, byName);
    return {
      name: source.name,
      value: readPickle(source.name, bytes, new Map([...TORCH_NAMES, ...names])),
      tensor: (value, what) => storages.tensor(value, what),
      [Symbol.dispose]: () => source[Symbol.dispose](),
    };
  } catch (error) {
    using _closed = source;
    throw await orSavedInstead(error, source, EXPECTED);
  }
}

/** Storages are read whole, once: their checksums are compared, and tensors may share one. */
class Storages {
  readonly #source: ByteSource;
  readonly #folder: string;
  readonly #members: ReadonlyMap<string, ZipMember>;
  readonly #read = new Map<string, Promise<Uint8Array>>();

  constructor(source: ByteSource, folder: string, members: ReadonlyMap<string, ZipMember>) {
    this.#source = source;
    this.#folder = folder;
    this.#members = members;
  }

  async tensor(value: PickleValue | undefined, what: string): Promise<TorchTensor> {
    const where = `${this.#source.name}: ${what}`;
    if (value === undefined) throw badTensor(where, 'is missing');
    const place = tensorPlace(value);
    if (typeof place === 'string') throw badTensor(where, place);
    const { key, dtype, shape } = place;
    const member = this.#members.get(`${this.#folder}data/${key}`);
    if (member === undefined) throw badTensor(where, `lies in storage ${key}, which is missing`);
    const size = ELEMENT_BYTES[dtype];
    const length = Math.floor(member.byteLength / size);
    if (length !== place.storageLength) {
      throw badTensor(where, `says that storage ${key} has ${place.storageLength} numbers; it has ${length}`);
    }
    let reading = this.#read.get(key);
    if (reading === undefined) {
      reading = readMember(this.#source, member);
      this.#read.set(key, reading);
    }
    return { dtype, shape, bytes: gather(await reading, size, place) };
  }
}

async function checkForm(source: ByteSource): Promise<void> {
  const start = Buffer.alloc(Math.min(source.size, ZIP.length));
  await source.read(0, start);
  if (start.toString('latin1') === ZIP) return;
  if (start[0] === PICKLE_START) {
    throw badForm(
      source.name,
      'is a bare pickle, as PyTorch wrote it before version 1.6',
      'Load it with the program that wrote it, and save it again with a current version of PyTorch.',
    );
  }
  throw badForm(
    source.name,
    `is no zip archive; expected ${EXPECTED}`,
    'It is damaged or incomplete, or a file of another kind: graph files and viewers’ JSON need no import.',
  );
}

function onlyPickle(file: string, members: readonly ZipMember[]): ZipMember {
  const pickles = members.filter(({ name }) => name === PICKLE_MEMBER || name.endsWith(`/${PICKLE_MEMBER}`));
  if (pickles.length === 1) return pickles[0]!;
  throw badForm(
    file,
    `has ${pickles.length} members named ${PICKLE_MEMBER}; ${EXPECTED} has one`,
    'Name a file that torch.save wrote, such as `Graph.to_pt`.',
  );
}

async function checkByteOrder(source: ByteSource, member: ZipMember | undefined): Promise<void> {
  if (member === undefined) return; // before PyTorch 2.1
  const order = new TextDecoder().decode(await readMember(source, member, LONGEST_BYTE_ORDER));
  if (order === 'little') return;
  throw badForm(
    source.name,
    `has the byte order ${shownName(order)}; expected little`,
    'Save it on a machine of that order.',
  );
}

/** All bytes of a member. */
async function readMember(source: ByteSource, member: ZipMember, most = Infinity): Promise<Uint8Array> {
  const where = `${source.name}: member ${shownName(member.name)}`;
  if (member.method !== 'stored') throw badMember(where, 'is compressed, which torch.save never does');
  if (member.byteLength > most)
    throw badMember(where, `has ${member.byteLength} bytes; at most ${most} are read`);
  const bytes = allocate(member.byteLength, where);
  await source.read(member.dataStart, bytes);
  if (!hasChecksum(member, crc32(bytes))) throw badMember(where, 'has a wrong checksum');
  return bytes;
}

function badForm(file: string, fault: string, hint: string): BadFileError {
  return new BadFileError({ code: 'unknown_format', message: `${file} ${fault}`, hint });
}

function badMember(where: string, fault: string): BadFileError {
  return new BadFileError({
    code: 'torch_damaged',
    message: `${where} ${fault}`,
    hint: 'The file is damaged or was not written by torch.save. Fetch it again.',
  });
}

function badTensor(where: string, fault: string): BadFileError {
  return new BadFileError({
    code: 'torch_tensor',
    message: `${where} ${fault}`,
    hint: 'The file is damaged or was changed after torch.save wrote it. Fetch it again.',
  });
}
