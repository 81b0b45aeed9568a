/** Copies of the golden fixtures that a test may damage, and proof that a command has changed no file. */
import { createHash } from 'node:crypto';
import {
  cpSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { narrowToBfloat16 } from '../../src/formats/dtype.ts';
import { goldenPath, type Fixture } from './golden.ts';
import { scratchFolder, type Scratch } from './scratch.ts';

/** A model and one of its sets in a folder of their own, gone at the end of the block. */
export interface FixtureCopy extends Scratch {
  readonly model: string;
  readonly set: string;
}

export function copyFixture(fixture: Fixture, set = 'plt-jumprelu'): FixtureCopy {
  const scratch = scratchFolder();
  const [model, transcoders] = [join(scratch.path, 'model'), join(scratch.path, 'set')];
  cpSync(goldenPath(fixture, 'model'), model, { recursive: true });
  cpSync(goldenPath(fixture, 'transcoders', set), transcoders, { recursive: true });
  return { ...scratch, model, set: transcoders };
}

/** What every file below a folder holds, by its path; links by where they lead. Two such texts differ when a file does. */
export function fingerprint(root: string): string {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return names
    .map((name) => {
      const path = join(root, name);
      const found = lstatSync(path);
      if (found.isSymbolicLink()) return `${name} -> ${readlinkSync(path)}`;
      if (!found.isFile()) return `${name}/`;
      return `${name} ${found.mode} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
    })
    .join('\n');
}

export function editJson(path: string, edit: (value: Record<string, unknown>) => void): void {
  const value = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  edit(value);
  writeFileSync(path, JSON.stringify(value));
}

export function editText(path: string, edit: (text: string) => string): void {
  writeFileSync(path, edit(readFileSync(path, 'utf8')));
}

export function cutOff(path: string, bytes: number): void {
  truncateSync(path, lstatSync(path).size - bytes);
}

/** An entry of a safetensors header. */
export interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
export type Header = Record<string, HeaderEntry>;

interface Parts {
  readonly header: Header;
  readonly data: Buffer;
}

function partsOf(path: string): Parts {
  const bytes = readFileSync(path);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, end)) as Header;
  return { header, data: bytes.subarray(end) };
}

function writeParts(path: string, { header, data }: Parts): void {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, data]));
}

/** Changes what a safetensors file says of itself, and none of its numbers. */
export function editHeader(path: string, edit: (header: Header) => void): void {
  const parts = partsOf(path);
  edit(parts.header);
  writeParts(path, parts);
}

/** Puts a number into a place of a stored tensor: of float32 or bfloat16, counted from the start of the tensor. */
export function setNumber(path: string, tensor: string, place: number, value: number): void {
  const { header, data } = partsOf(path);
  const { dtype, data_offsets } = header[tensor]!;
  const [start] = data_offsets;
  if (dtype === 'F32') data.writeFloatLE(value, start + 4 * place);
  else data.writeUInt16LE(narrowToBfloat16(Float32Array.of(value))[0]!, start + 2 * place);
  writeParts(path, { header, data });
}

/** A tensor in its stored bytes. */
export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}
export type StoredTensors = Map<string, StoredTensor>;

/** All tensors of a safetensors file. */
export function readStored(path: string): StoredTensors {
  const { header, data } = partsOf(path);
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  return new Map(
    entries.map(([name, { dtype, shape, data_offsets }]) => [
      name,
      { dtype, shape, bytes: data.subarray(...data_offsets) },
    ]),
  );
}

/** Writes a safetensors file with the tensors one after the other. */
export function writeStored(path: string, tensors: StoredTensors): void {
  const rewritten: Header = {};
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    rewritten[name] = { dtype, shape: [...shape], data_offsets: [at, (at += bytes.byteLength)] };
    pieces.push(bytes);
  }
  writeParts(path, { header: rewritten, data: Buffer.concat(pieces) });
}

/** Rewrites a safetensors file from the tensors that `edit` leaves, in their order. */
export function editTensors(path: string, edit: (tensors: StoredTensors) => void): void {
  const tensors = readStored(path);
  edit(tensors);
  writeStored(path, tensors);
}
