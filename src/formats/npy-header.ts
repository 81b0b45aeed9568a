/**
 * Files, step 3 of npz: the header of one NumPy array, a Python dictionary in text that is read here by its grammar and never
 * evaluated. Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { BadFileError } from '../errors.ts';
import { ELEMENT_BYTES } from './dtype.ts';
import { shown } from './shown.ts';
import type { StorageType } from './tensor-file.ts';

export interface NpyHeader {
  readonly dtype: StorageType;
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

const DTYPES: Readonly<Record<string, StorageType>> = {
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
  if (!Object.hasOwn(DTYPES, descr)) {
    throw refused(where, `its type is ${shown(descr)}; expected one of ${Object.keys(DTYPES).join(', ')}`);
  }
  // A list of numbers is the same in both orders.
  const columnOrder = fortranOrder && shape.length > 1;
  if (columnOrder && shape.length > 2) {
    throw refused(
      where,
      `it is in Fortran order and has ${shape.length} dimensions; at most 2 are read in this order`,
    );
  }
  const dtype = DTYPES[descr]!;
  const dataBytes = shape.reduce((product, length) => product * length, ELEMENT_BYTES[dtype]);
  if (headerBytes + dataBytes !== byteLength) {
    throw refused(
      where,
      `${descr} of shape ${shown(shape)} needs ${dataBytes} bytes, there are ${byteLength - headerBytes}`,
    );
  }
  return { dtype, shape, columnOrder, headerBytes, dataBytes };
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

/** One `'key': value` of the dictionary, with the comma after it; the value is a text, a truth value or a tuple. */
const PAIR =
  /\s*'(?<key>descr|fortran_order|shape)'\s*:\s*(?:'(?<text>[^'\\]*)'|(?<truth>True|False)|\((?<tuple>[\d\s,]*)\))\s*(?:,|(?=\}))/y;

function parseDictionary(where: string, header: string) {
  const found: { descr?: string; fortranOrder?: boolean; shape?: number[] } = {};
  let at = 1;
  for (let match = pairAt(header, at); match; match = pairAt(header, at)) {
    at += match[0].length;
    const { key, text, truth, tuple } = match.groups!;
    if (key === 'descr' && text !== undefined && found.descr === undefined) found.descr = text;
    else if (key === 'fortran_order' && truth && found.fortranOrder === undefined)
      found.fortranOrder = truth === 'True';
    else if (key === 'shape' && tuple !== undefined && !found.shape) found.shape = parseTuple(tuple);
    else throw unreadable(where, header);
  }
  const { descr, fortranOrder, shape } = found;
  const closed = header.startsWith('{') && /^\s*\}\s*$/.test(header.slice(at));
  if (!closed || descr === undefined || fortranOrder === undefined || !shape?.every(Number.isSafeInteger)) {
    throw unreadable(where, header);
  }
  return { descr, fortranOrder, shape };
}

function pairAt(header: string, at: number): RegExpExecArray | null {
  PAIR.lastIndex = at;
  return PAIR.exec(header);
}

/** `32, 128` or `160,` or nothing; what is no whole number becomes NaN. */
function parseTuple(tuple: string): number[] {
  const parts = tuple.split(',').map((part) => part.trim());
  if (parts.at(-1) === '') parts.pop();
  return parts.map((part) => (/^\d+$/.test(part) ? Number(part) : NaN));
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
