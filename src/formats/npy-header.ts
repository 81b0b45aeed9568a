/**
 * Files, step 3 of npz: the header of one NumPy array, a Python dictionary in text that is read here by its grammar and never
 * evaluated. Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { BadFileError } from '../errors.ts';
import { ELEMENT_BYTES } from './dtype.ts';
import { parsePythonLiteral, type PythonLiteral } from './python-literal.ts';
import { shown } from './shown.ts';
import type { ElementType } from './tensor-file.ts';

export interface NpyHeader {
  /** A `ElementType`; for what cannot be read (texts, records, pickled objects, …) NumPy's words for it. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** True when columns follow one another instead of rows (Fortran order). */
  readonly columnOrder: boolean;
  /** Where the numbers begin. */
  readonly headerBytes: number;
  readonly dataBytes: number;
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** NumPy's own limit for the text, against headers that only cost time. */
const LONGEST_TEXT = 10_000;
const LONGEST_PREAMBLE = 12;
/** No header that is accepted is longer. */
export const LARGEST_NPY_HEADER_BYTES = LONGEST_PREAMBLE + LONGEST_TEXT;

/** Types that are read here. */
const DTYPES: Readonly<Record<string, ElementType>> = {
  '<f2': 'F16',
  '<f4': 'F32',
  '<f8': 'F64',
  '<i4': 'I32',
  '<i8': 'I64',
};

/** Parses the first bytes of an array of `byteLength` bytes in all. Throws `BadFileError`, with `where` as the subject. */
export function parseNpyHeader(where: string, start: Uint8Array, byteLength: number): NpyHeader {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  const { textStart, textBytes } = preamble(where, bytes);
  const headerBytes = textStart + textBytes;
  if (textBytes > LONGEST_TEXT || headerBytes > bytes.byteLength) {
    throw refused(where, `its header claims ${textBytes} bytes, the array has ${byteLength} in all`);
  }
  const { descr, fortranOrder, shape } = parseDictionary(
    where,
    bytes.toString('latin1', textStart, headerBytes),
  );
  // A list of numbers is the same in both orders.
  const columnOrder = fortranOrder && shape.length > 1;
  const dataBytes = byteLength - headerBytes;
  const layout = { shape, columnOrder, headerBytes, dataBytes };
  if (!Object.hasOwn(DTYPES, descr)) return { ...layout, dtype: descr };
  const dtype = DTYPES[descr]!;
  const needed = shape.reduce((product, length) => product * length, ELEMENT_BYTES[dtype]);
  if (needed !== dataBytes) {
    throw refused(where, `${descr} of shape ${shown(shape)} needs ${needed} bytes, there are ${dataBytes}`);
  }
  if (!columnOrder || shape.length === 2) return { ...layout, dtype };
  return { ...layout, dtype: `${dtype} in Fortran order with ${shape.length} dimensions` };
}

/** Version 1 gives the text's length in 2 bytes, versions 2 and 3 in 4. */
function preamble(where: string, bytes: Buffer): { textStart: number; textBytes: number } {
  if (bytes.byteLength < LONGEST_PREAMBLE || !bytes.subarray(0, MAGIC.byteLength).equals(MAGIC)) {
    throw refused(where, 'it does not begin as a NumPy array');
  }
  const version = bytes[MAGIC.byteLength]!;
  switch (version) {
    case 1:
      return { textStart: 10, textBytes: bytes.readUInt16LE(8) };
    case 2:
    case 3:
      return { textStart: 12, textBytes: bytes.readUInt32LE(8) };
    default:
      throw refused(where, `its format version is ${version}; expected 1, 2 or 3`);
  }
}

/** The three entries of the dictionary, each once, in any order. */
function parseDictionary(where: string, header: string) {
  const found: { descr?: PythonLiteral; fortran_order?: boolean; shape?: number[] } = {};
  for (const [key, value] of pairsOf(parsePythonLiteral(header))) {
    if (key === 'descr' && found.descr === undefined && value !== null) found.descr = value;
    else if (key === 'fortran_order' && found.fortran_order === undefined && typeof value === 'boolean')
      found.fortran_order = value;
    else if (key === 'shape' && !found.shape && isShape(value)) found.shape = value;
    else throw unreadable(where, header);
  }
  const { descr, fortran_order, shape } = found;
  if (descr === undefined || fortran_order === undefined || !shape) throw unreadable(where, header);
  return {
    descr: typeof descr === 'string' ? descr : JSON.stringify(descr),
    fortranOrder: fortran_order,
    shape,
  };
}

function pairsOf(value: PythonLiteral | undefined): readonly (readonly [PythonLiteral, PythonLiteral])[] {
  return typeof value === 'object' && value !== null && 'pairs' in value ? value.pairs : [];
}

function isShape(value: PythonLiteral): value is number[] {
  return Array.isArray(value) && value.every((length) => Number.isSafeInteger(length) && length >= 0);
}

function unreadable(where: string, header: string): BadFileError {
  return refused(
    where,
    `its header is ${shown(header)}; expected a dictionary with descr, fortran_order and shape`,
  );
}

function refused(where: string, fault: string): BadFileError {
  return new BadFileError({
    code: 'npy_header',
    message: `${where}: ${fault}`,
    hint: 'Fetch the file again, or save the array with numpy.savez as little-endian floats or integers.',
  });
}
