/** GGUF files: what is read, what is refused, and real ones changed at random. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { BadFileError } from '../../src/errors.ts';
import { memorySource, type ByteSource } from '../../src/formats/byte-source.ts';
import { openGguf, type GgufFile } from '../../src/formats/gguf.ts';
import { isList } from '../../src/formats/gguf-values.ts';
import { joinGguf, splitNames } from '../../src/formats/gguf-split.ts';
import { gguf } from '../support/gguf.ts';
import { changedGguf, ggufBytes, text, u32, u64, type GgufParts } from '../support/gguf-writer.ts';
import { refusalOf } from './support.ts';

const F32 = 0;
const Q8_0 = 8;
const block = new Uint8Array(64).fill(1);
const tensor = (name: string, more: object = {}) => ({
  name,
  type: F32,
  shape: [4, 4],
  data: block,
  ...more,
});

async function refused(parts: GgufParts): Promise<BadFileError> {
  const error = await refusalOf(openGguf(memorySource('bad.gguf', ggufBytes(parts))));
  expect(error).toBeInstanceOf(BadFileError);
  expect(error.message).toContain('bad.gguf');
  return error;
}

it('values and tensors are read as they were written, rows first', async () => {
  const values = {
    'a.text': 'né',
    'a.number': -3,
    'a.real': 0.25,
    'a.flag': true,
    'a.list': ['x', '', 'é'],
    'a.empty': [],
  };
  const tensors = [
    tensor('one', { shape: [2, 8] }),
    tensor('two'),
    tensor('flat', { shape: [3], data: block.slice(0, 12) }),
  ];
  using file = await openGguf(memorySource('good.gguf', ggufBytes({ values, tensors })));
  const found = [...file.values].map(([key, value]) => [key, isList(value) ? value.values() : value]);
  expect(Object.fromEntries(found)).toEqual(values);
  expect(file.metadata).toEqual({ 'a.text': 'né' });
  expect(file.tensors.get('one')).toEqual({ name: 'one', dtype: 'F32', shape: [2, 8], byteLength: 64 });
  expect(await file.read('flat')).toEqual(block.slice(0, 12));
  expect(await file.readRows('two', [3, 0])).toEqual(new Uint8Array(32).fill(1));
});

describe('a header that lies', () => {
  const CASES: [what: string, parts: GgufParts, message: RegExp][] = [
    ['another format', { magic: 'GGML' }, /does not begin with "GGUF"/],
    ['an old version', { version: 1 }, /version 1 of GGUF; known are 2 and 3/],
    ['another byte order', { version: 0x03000000 }, /big-endian/],
    ['a huge number of tensors', { nTensors: 2n ** 60n }, /number of tensors is 1152921504606846976/],
    ['a huge number of keys', { nKeys: 10n ** 12n }, /number of keys is 1000000000000, more than/],
    ['a number that is not exact', { nKeys: 2n ** 63n }, /number of keys is 9223372036854775808/],
    [
      'an absurd length of a key',
      { nKeys: 1n, rawValues: Buffer.concat([u64(2n ** 50n), Buffer.alloc(40)]) },
      /length of key 0 .* is 1125899906842624/,
    ],
    ['an empty key', { nKeys: 1n, rawValues: Buffer.alloc(64) }, /key 0 of the metadata is empty/],
    [
      'an absurd length of a text',
      { nKeys: 1n, rawValues: Buffer.concat([text('k'), u32(8), u64(2n ** 40n), Buffer.alloc(16)]) },
      /length of k is 1099511627776/,
    ],
    [
      'an absurd length of a list',
      { nKeys: 1n, rawValues: Buffer.concat([text('k'), u32(9), u32(4), u64(2n ** 40n), Buffer.alloc(16)]) },
      /length of k is 1099511627776/,
    ],
    [
      'an absurd text in a list',
      {
        nKeys: 1n,
        rawValues: Buffer.concat([text('k'), u32(9), u32(8), u64(1), u64(2n ** 40n), Buffer.alloc(16)]),
      },
      /length of a text in k is 1099511627776/,
    ],
    [
      'lists of lists',
      { nKeys: 1n, rawValues: Buffer.concat([text('k'), u32(9), u32(9), u64(1), Buffer.alloc(32)]) },
      /list of lists/,
    ],
    [
      'an unknown type of a value',
      { nKeys: 1n, rawValues: Buffer.concat([text('k'), u32(77), Buffer.alloc(16)]) },
      /k has the type 77/,
    ],
    [
      'a key twice',
      {
        nKeys: 2n,
        rawValues: Buffer.concat([text('k'), u32(7), Buffer.of(1), text('k'), u32(7), Buffer.of(1)]),
      },
      /the key k twice/,
    ],
    [
      'a text that is not UTF-8',
      { nKeys: 1n, rawValues: Buffer.concat([text('k'), u32(8), u64(1), Buffer.of(0xff)]) },
      /not UTF-8/,
    ],
    [
      'an alignment of zero',
      { values: { 'general.alignment': 0 } },
      /general\.alignment is 0; expected a power of two/,
    ],
    ['an odd alignment', { values: { 'general.alignment': 48 } }, /general\.alignment is 48/],
    ['an alignment that is a text', { values: { 'general.alignment': '32' } }, /general\.alignment is "32"/],
    ['a tensor twice', { tensors: [tensor('t'), tensor('t')] }, /tensor t is listed twice/],
    ['a tensor without a name', { tensors: [tensor('')] }, /name of tensor 0 is empty/],
    [
      'an unknown type of a tensor',
      { tensors: [tensor('t', { type: 4 })] },
      /tensor t has type 4 of ggml; known are 0 \(F32\)/,
    ],
    ['no dimension', { tensors: [tensor('t', { shape: [] })] }, /tensor t has 0 dimensions/],
    ['five dimensions', { tensors: [tensor('t', { shape: [1, 1, 1, 4, 4] })] }, /tensor t has 5 dimensions/],
    [
      'a shape beyond all bounds',
      { tensors: [tensor('t', { shape: [2n ** 40n, 2n ** 40n] })] },
      /tensor t has shape .*more than a file can hold/,
    ],
    [
      'a shape beyond the file',
      { tensors: [tensor('t', { shape: [4096, 4096] })] },
      /tensor t ends at \d+, but the file has/,
    ],
    [
      'rows that are no whole blocks',
      { tensors: [tensor('t', { type: Q8_0, shape: [2, 33] })] },
      /rows of 33 numbers; Q8_0 has blocks of 32/,
    ],
    [
      'an offset that is not aligned',
      { tensors: [tensor('t', { offset: 8 })] },
      /tensor t is not aligned to 32 bytes/,
    ],
    [
      'overlapping tensors',
      { tensors: [tensor('s'), tensor('t', { offset: 32 })] },
      /tensor t overlaps the one before it: it begins at 32, expected 64/,
    ],
    ['a hole', { tensors: [tensor('s'), tensor('t', { offset: 128 })] }, /tensor t leaves a hole before it/],
    [
      'an offset beyond all bounds',
      { tensors: [tensor('t', { offset: 2n ** 63n })] },
      /offset of t is 9223372036854775808/,
    ],
  ];

  it.each(CASES)('%s is refused, naming file and thing', async (_what, parts, message) => {
    expect((await refused(parts)).message).toMatch(message);
  });

  it('a web page is named', async () => {
    const page = Buffer.from('<!DOCTYPE html><html><head><title>Sign in</title></head></html>');
    const error = await refusalOf(openGguf(memorySource('model.gguf', new Uint8Array(page))));
    expect(error.message).toContain('model.gguf is an HTML page; expected a GGUF file');
  });
});

describe('a real file', () => {
  const original = new Uint8Array(readFileSync(gguf('qwen2')));
  /** Nothing is read, nor allocated, that the file cannot hold. */
  const outcome = async (bytes: Uint8Array): Promise<GgufFile | BadFileError> => {
    const memory = memorySource('hostile', bytes);
    const source: ByteSource = {
      ...memory,
      read(offset, target) {
        expect(target.byteLength).toBeLessThanOrEqual(bytes.byteLength);
        return memory.read(offset, target);
      },
    };
    try {
      const file = await openGguf(source);
      for (const value of file.values.values()) if (isList(value)) value.values();
      for (const name of file.tensors.keys()) await file.read(name);
      return file;
    } catch (error) {
      if (error instanceof BadFileError) return error;
      throw error;
    }
  };
  const RUNS = { numRuns: 300 };

  it('is refused wherever it was cut', async () => {
    const cut = async (length: number) =>
      expect(await outcome(original.subarray(0, length))).toBeInstanceOf(BadFileError);
    // The last tensor ends with the file.
    await fc.assert(fc.asyncProperty(fc.nat(original.byteLength - 33), cut), RUNS);
  });

  it('is refused, or sound, when bytes of its header are damaged', async () => {
    const change = fc.tuple(fc.nat(20_000), fc.integer({ min: 1, max: 255 }));
    const damaged = async (changes: [number, number][]) => {
      const copy = original.slice();
      for (const [at, bits] of changes) copy[at]! ^= bits;
      const found = await outcome(copy);
      if (found instanceof BadFileError) return;
      const total = [...found.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect(total).toBeLessThanOrEqual(original.byteLength);
    };
    await fc.assert(fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), damaged), {
      numRuns: 600,
    });
  });
});

describe('a split model', () => {
  const part = async (index: number, n: number, only: (tensor: string) => boolean, total = 38) => {
    const values = { 'split.no': index, 'split.count': n, 'split.tensors.count': total };
    return await openGguf(memorySource(`part ${index}`, await changedGguf(gguf('qwen2'), { values, only })));
  };
  const isFirst = (tensor: string): boolean => tensor.startsWith('blk.0.');

  it('has the names of its parts', () => {
    expect(splitNames('m-00002-of-00003.gguf')).toEqual([
      'm-00001-of-00003.gguf',
      'm-00002-of-00003.gguf',
      'm-00003-of-00003.gguf',
    ]);
    for (const name of ['m.gguf', 'm-00001-of-00000.gguf', 'm-00001-of-99999.gguf', 'm-1-of-3.gguf'])
      expect(splitNames(name)).toEqual([name]);
  });

  it('is read as one file', async () => {
    using whole = await openGguf(gguf('qwen2'));
    const total = whole.tensors.size;
    using joined = joinGguf([
      await part(0, 2, isFirst, total),
      await part(1, 2, (each) => !isFirst(each), total),
    ]);
    expect(new Map([...joined.tensors].sort())).toEqual(new Map([...whole.tensors].sort()));
    for (const name of whole.tensors.keys()) expect(await joined.read(name)).toEqual(await whole.read(name));
    await expect(joined.read('blk.9.x')).rejects.toThrow('has no tensor blk.9.x');
  });

  it('is refused when parts are missing, exchanged or doubled', async () => {
    const [first, second] = [await part(0, 2, isFirst), await part(1, 2, (each) => !isFirst(each))];
    expect(() => joinGguf([first])).toThrow(/part 0 says that it is part 0 \(from 0\) of 2; expected 0 of 1/);
    expect(() => joinGguf([second, first])).toThrow(/part 1 says that it is part 1 .* expected 0 of 2/);
    const counted = await part(0, 2, isFirst, 40);
    expect(() => joinGguf([counted, second])).toThrow(/split\.tensors\.count is 40, the files have 38/);
    const again = await part(1, 2, () => true);
    expect(() => joinGguf([first, again])).toThrow(/blk\.0\.\S+ is in part 0 and in part 1/);
  });
});
