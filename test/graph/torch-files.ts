/** Files of PyTorch for tests: those of the fixtures with another pickle or other storages, and pickles opcode by opcode. */
import { expect } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { memorySource } from '../../src/formats/byte-source.ts';
import { OPCODE_NAMES } from '../../src/formats/pickle-opcodes.ts';
import { readZip } from '../../src/formats/zip.ts';
import { readCircuitTracerGraph } from '../../src/graph/circuit-tracer.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { refusalOf, zip } from '../formats/support.ts';

export const FORMS = fileURLToPath(new URL('../fixtures/circuit-tracer', import.meta.url));

export const formOf = (name: string): Uint8Array => new Uint8Array(readFileSync(`${FORMS}/${name}.pt`));

/** Members of a file by the names that they have in its folder. */
export type Members = Map<string, Uint8Array>;

export async function membersOf(bytes: Uint8Array): Promise<Members> {
  const members = await readZip(memorySource('file', bytes));
  return new Map(
    members.map(({ name, dataStart, byteLength }) => [
      name.slice(name.indexOf('/') + 1),
      bytes.slice(dataStart, dataStart + byteLength),
    ]),
  );
}

/** Checksums and sizes are right, whatever the members are. */
export function torchFile(members: Members): Uint8Array {
  return zip(Array.from(members, ([name, bytes]) => ({ name: `graph/${name}`, bytes })));
}

/** A file whose pickle is this one. */
export const fileOf = (pickle: Uint8Array): Uint8Array => torchFile(new Map([['data.pkl', pickle]]));

export function readBytes(bytes: Uint8Array): Promise<Graph> {
  return readCircuitTracerGraph(memorySource('graph.pt', bytes), { tracer_version: 'test' });
}

const CODES = new Map(Array.from(OPCODE_NAMES, ([code, name]) => [name, code]));

/** The name of an opcode, or what follows one as text (Latin-1) or bytes. */
export type Part = string | { readonly text: string } | Uint8Array;

/** A pickle of protocol 2. */
export function pickle(...parts: readonly Part[]): Uint8Array {
  const bytes = parts.map((part) => {
    if (typeof part === 'string') return Buffer.from([CODES.get(part as never) ?? unknown(part)]);
    return part instanceof Uint8Array ? part : Buffer.from(part.text, 'latin1');
  });
  return new Uint8Array(Buffer.concat([Buffer.from([CODES.get('PROTO')!, 2]), ...bytes]));
}

function unknown(name: string): never {
  throw new Error(`${name} is no opcode`);
}

/** A text as an opcode and its bytes. */
export function text(value: string): Uint8Array {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.byteLength);
  return Buffer.concat([Buffer.from([CODES.get('BINUNICODE')!]), length, bytes]);
}

/** `GLOBAL module name`. */
export function global(module: string, name: string): Uint8Array {
  return Buffer.concat([Buffer.from([CODES.get('GLOBAL')!]), Buffer.from(`${module}\n${name}\n`)]);
}

/** The first place of a text in a pickle is replaced by bytes of any length. */
export function replaced(pickle: Uint8Array, old: Uint8Array | string, by: Uint8Array | string): Uint8Array {
  const [before, after] = [Buffer.from(old as string, 'latin1'), Buffer.from(by as string, 'latin1')];
  const buffer = Buffer.from(pickle);
  const place = buffer.indexOf(before);
  if (place < 0) throw new Error('the text to replace is not there');
  return new Uint8Array(
    Buffer.concat([buffer.subarray(0, place), after, buffer.subarray(place + before.length)]),
  );
}

/** What a file is refused with, which always has exit code 4. */
export async function faultOf(file: Uint8Array): Promise<string> {
  const { exitCode, message } = await refusalOf(readBytes(file));
  expect(exitCode).toBe(4);
  return message;
}

export const faultOfPickle = (...parts: readonly Part[]) => faultOf(fileOf(pickle(...parts)));

/** The fixture with its text `scan` replaced by any value. */
export async function withScan(value: Uint8Array): Promise<Uint8Array> {
  const members = await membersOf(formOf('current'));
  members.set('data.pkl', replaced(members.get('data.pkl')!, text('acme/set'), value));
  return torchFile(members);
}

/** A value without the opcode PROTO in front. */
export const value = (...parts: readonly Part[]) => pickle(...parts).subarray(2);
