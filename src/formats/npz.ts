/** Files, step 4 (npz): a zip archive of NumPy arrays, as Gemma Scope is published. */
import { BadFileError } from '../errors.ts';
import { openFileSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { LARGEST_NPY_HEADER_BYTES, parseNpyHeader } from './npy-header.ts';
import { ArrayReader, inflateInto } from './npz-array.ts';
import type { ArrayMember } from './npz-array.ts';
import { pickleRefused } from './pickle.ts';
import { orSavedInstead } from './saved-instead.ts';
import { shownName } from './shown.ts';
import type { TensorFile } from './tensor-file.ts';
import { tensorFile } from './tensor-reader.ts';
import { readZip } from './zip.ts';
import type { ZipMember } from './zip.ts';

const ARRAY_SUFFIX = '.npy';
/** PyTorch's files are zip archives too, with a pickle that says what their other members are. */
const PYTORCH_PICKLE = /(?:^|\/)data\.pkl$/;

/**
 * Reads the directory and every array's header; names come without `.npy`. Stored arrays are read by range. Deflated ones are
 * inflated straight into the target when read whole; the first read of single rows inflates the array once and keeps it until
 * the file is closed. Matrices in Fortran order are given row by row like the others, for one pass over their bytes a call.
 * Whole reads check the archive's checksum. The source belongs to the result, also when opening fails.
 * Throws `BadFileError` for a damaged archive. Arrays of other types than little-endian f2, f4, f8, i4, i8 are listed, and
 * refused when they are read.
 */
export async function openNpz(sourceOrPath: ByteSource | string): Promise<TensorFile> {
  const source = typeof sourceOrPath === 'string' ? await openFileSource(sourceOrPath) : sourceOrPath;
  try {
    const arrays: ArrayMember[] = [];
    for (const member of await readZip(source)) {
      if (PYTORCH_PICKLE.test(member.name)) throw pickleRefused(source.name);
      if (member.name.endsWith(ARRAY_SUFFIX)) arrays.push(await readArrayHeader(source, member));
    }
    if (arrays.length === 0) throw noArrays(source.name);
    const readers = new Map(arrays.map((array) => [array.info.name, new ArrayReader(source, array)]));
    return tensorFile({
      name: source.name,
      metadata: {},
      tensors: new Map(arrays.map(({ info }) => [info.name, info])),
      readRuns: (info, runs) => readers.get(info.name)!.readRuns(info, runs),
      [Symbol.dispose]: () => {
        readers.clear(); // and with them what was inflated
        source[Symbol.dispose]();
      },
    });
  } catch (error) {
    using _closed = source;
    throw await orSavedInstead(error, source, 'an npz archive');
  }
}

async function readArrayHeader(source: ByteSource, member: ZipMember): Promise<ArrayMember> {
  const start = new Uint8Array(Math.min(member.byteLength, LARGEST_NPY_HEADER_BYTES));
  if (member.method === 'stored') await source.read(member.dataStart, start);
  else await inflateInto(source.name, member, 0, start);
  const where = `${source.name}: array ${shownName(member.name)}`;
  const { dtype, shape, columnOrder, headerBytes, dataBytes } = parseNpyHeader(
    where,
    start,
    member.byteLength,
  );
  const name = member.name.slice(0, -ARRAY_SUFFIX.length);
  return {
    info: { name, dtype, shape, byteLength: dataBytes },
    columnOrder,
    member,
    header: start.slice(0, headerBytes),
  };
}

function noArrays(archive: string): BadFileError {
  return new BadFileError({
    code: 'npz_empty',
    message: `${archive} is a zip archive without NumPy arrays (.npy)`,
    hint: 'A set of Gemma Scope has params.npz. Name the right file, or fetch it again.',
  });
}
