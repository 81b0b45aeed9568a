/**
 * Tokenizer, cache on disk: rules and tables in one binary file, so that the source's JSON (17 MB for Gemma-2) is parsed only
 * once. Layout, in this machine's byte order:
 *
 *   sha256 of all that follows (32 bytes)
 *   uint32 magic, uint32 version, uint32 bytes of JSON, uint32 0
 *   JSON { source, rules, lengths: elements of each table }, padded to 4 bytes with spaces
 *   the tables in the order of TABLES, each padded to 4 bytes
 *
 * A file that differs from this in any way is not used: the tokenizer is then read from its source.
 */
import { createHash } from 'node:crypto';
import type { Rules } from './rules.ts';
import type { BpeTables } from './tables.ts';

export interface CompiledTokenizer {
  readonly rules: Rules;
  readonly tables: BpeTables;
}

/** Reads as another number on a machine of the other byte order. */
const MAGIC = 0x7472746b;
/** To be raised with every change of the layout, the rules, the tables, or what is checked when they are built. */
const VERSION = 4;
const WORD_BYTES = Uint32Array.BYTES_PER_ELEMENT;
const HASH_BYTES = 32;
const N_WORDS = 4;
const JSON_START = HASH_BYTES + N_WORDS * WORD_BYTES;

const TABLES = [
  ['pieceStarts', Uint32Array],
  ['charPoints', Uint32Array],
  ['charIds', Uint32Array],
  ['mergeRows', Uint32Array],
  ['mergeRights', Uint32Array],
  ['mergeRanks', Uint32Array],
  ['mergeResults', Uint32Array],
  ['wordIds', Uint32Array],
  ['pieceBytes', Uint8Array],
] as const;
type TableName = (typeof TABLES)[number][0];

interface Header {
  readonly source: string;
  readonly rules: Rules;
  readonly lengths: Record<TableName, number>;
}

/** `source` identifies the file that this was made from; `readCompiled` compares it. */
export function writeCompiled({ rules, tables }: CompiledTokenizer, source: string): Uint8Array {
  const lengths = Object.fromEntries(
    TABLES.map(([name]) => [name, tables[name].length]),
  ) as Header['lengths'];
  const json = Buffer.from(JSON.stringify({ source, rules, lengths } satisfies Header));
  const parts = TABLES.map(([name]) => tables[name]);
  const size = parts.reduce(
    (bytes, part) => bytes + padded(part.byteLength),
    JSON_START + padded(json.length),
  );
  const file = Buffer.alloc(size, ' ');
  new Uint32Array(file.buffer, file.byteOffset + HASH_BYTES, N_WORDS).set([MAGIC, VERSION, json.length, 0]);
  file.set(json, JSON_START);
  let at = JSON_START + padded(json.length);
  for (const part of parts) {
    file.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    at += padded(part.byteLength);
  }
  file.set(hash(file), 0);
  return file;
}

/** Undefined when the bytes are damaged, of another version, or made from another source. */
export function readCompiled(file: Uint8Array, source: string): CompiledTokenizer | undefined {
  if (file.byteLength < JSON_START || file.byteOffset % WORD_BYTES !== 0) return undefined;
  if (!hash(file).equals(file.subarray(0, HASH_BYTES))) return undefined;
  const [magic, version, jsonBytes] = new Uint32Array(file.buffer, file.byteOffset + HASH_BYTES, N_WORDS);
  if (magic !== MAGIC || version !== VERSION) return undefined;

  // The hash matches, so these are the bytes that were written: nothing else has to be checked.
  const json = Buffer.from(file.buffer, file.byteOffset + JSON_START, jsonBytes).toString('utf8');
  const header = JSON.parse(json) as Header;
  if (header.source !== source) return undefined;
  let at = file.byteOffset + JSON_START + padded(jsonBytes!);
  const tables = Object.fromEntries(
    TABLES.map(([name, Table]) => {
      const table = new Table(file.buffer as ArrayBuffer, at, header.lengths[name]);
      at += padded(table.byteLength);
      return [name, table];
    }),
  ) as unknown as BpeTables;
  return { rules: header.rules, tables };
}

function padded(bytes: number): number {
  return Math.ceil(bytes / WORD_BYTES) * WORD_BYTES;
}

function hash(file: Uint8Array): Buffer {
  return createHash('sha256').update(file.subarray(HASH_BYTES)).digest();
}
