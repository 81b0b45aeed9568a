/** Real files, changed at random: they are read as they were, or refused. Nothing is asked for that the file cannot hold. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { join } from 'node:path';
import { BadFileError } from '../../src/errors.ts';
import { memorySource } from '../../src/formats/byte-source.ts';
import type { ByteSource } from '../../src/formats/byte-source.ts';
import { ELEMENT_BYTES, byteLengthOf } from '../../src/formats/dtype.ts';
import { openNpz } from '../../src/formats/npz.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import type { TensorFile } from '../../src/formats/tensor-file.ts';
import { bytesOf, contentsOf, gemmaScopePath, GOLDEN, npy, safetensors, zip } from './support.ts';
import type { Contents } from './support.ts';

const RUNS = { numRuns: 300 };
/** An entry of a zip directory has three texts, whose lengths have 16 bits. */
const LARGEST_ZIP_ENTRY_BYTES = 3 * 0xffff;

/** Everything in the file, or the `BadFileError` that refused it; any other error is thrown on. */
async function outcome(
  open: (source: ByteSource) => Promise<TensorFile>,
  bytes: Uint8Array,
): Promise<Contents | BadFileError> {
  const memory = memorySource('hostile', bytes);
  const source: ByteSource = {
    ...memory,
    read: (offset, target) => {
      largest = Math.max(largest, target.byteLength);
      return memory.read(offset, target);
    },
  };
  // Whatever is read into was allocated before: it must not be larger than the file could fill.
  let largest = 0;
  const most = open === openNpz ? Math.max(bytes.byteLength, LARGEST_ZIP_ENTRY_BYTES) : bytes.byteLength;
  try {
    return await contentsOf(open(source)).finally(() => expect(largest).toBeLessThanOrEqual(most));
  } catch (error) {
    if (error instanceof BadFileError) return error;
    throw error;
  }
}

/** Bytes with some of them replaced, at places in [0, limit). */
const flips = (limit: number) =>
  fc.array(fc.tuple(fc.nat(limit - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 });

function flipped(bytes: Uint8Array, changes: readonly (readonly [number, number])[]): Uint8Array {
  const copy = bytes.slice();
  for (const [place, bits] of changes) copy[place]! ^= bits;
  return copy;
}

const infosOf = (contents: Contents) => [...contents.values()].map(({ info }) => info);

describe('A real safetensors file', () => {
  const original = bytesOf(join(GOLDEN, 'tiny-b/transcoders/plt-jumprelu/layer_0.safetensors'));
  const headerBytes = 8 + Number(new DataView(original.buffer).getBigUint64(0, true));
  const header = JSON.parse(Buffer.from(original.subarray(8, headerBytes)).toString()) as Record<
    string,
    Entry
  >;
  const data = original.slice(headerBytes);
  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  interface Entry {
    dtype: string;
    shape: number[];
    data_offsets: number[];
  }

  it('is refused wherever it was cut', async () => {
    const cut = async (length: number) => {
      expect(await outcome(openSafetensors, original.subarray(0, length))).toBeInstanceOf(BadFileError);
    };
    await fc.assert(fc.asyncProperty(fc.nat(original.byteLength - 1), cut), RUNS);
  });

  it('is refused when bytes were added to it', async () => {
    const extended = async (tail: Uint8Array) => {
      const bytes = new Uint8Array(Buffer.concat([original, tail]));
      expect(await outcome(openSafetensors, bytes)).toBeInstanceOf(BadFileError);
    };
    await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1 }), extended), RUNS);
  });

  it('keeps its structure when numbers are damaged', async () => {
    const before = (await outcome(openSafetensors, original)) as Contents;
    const damaged = async (changes: [number, number][]) => {
      const moved = changes.map(([place, bits]) => [headerBytes + place, bits] as const);
      const after = await outcome(openSafetensors, flipped(original, moved));
      expect(infosOf(after as Contents)).toEqual(infosOf(before));
    };
    await fc.assert(fc.asyncProperty(flips(data.byteLength), damaged), RUNS);
  });

  /** Whatever is accepted covers the numbers of the file exactly once, each tensor as its type and shape say. */
  const expectSoundOrRefused = (found: Contents | BadFileError) => {
    if (found instanceof BadFileError) return;
    const infos = infosOf(found);
    for (const { shape, dtype, byteLength } of infos) {
      expect(byteLength).toBe(byteLengthOf(dtype, shape));
    }
    const all = Buffer.concat([...found.values()].map(({ bytes }) => bytes));
    expect(Buffer.compare(all, data)).toBe(0);
  };

  it('is refused, or sound, when bytes of its header are damaged', async () => {
    const damaged = async (changes: [number, number][]) =>
      expectSoundOrRefused(await outcome(openSafetensors, flipped(original, changes)));
    await fc.assert(fc.asyncProperty(flips(headerBytes), damaged), { numRuns: 1000 });
  });

  it('is refused, or sound, when its header lies', async () => {
    const awkward = fc.constantFrom(-1, 0, 0.5, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 64, 1e308, NaN);
    const numbers = fc.oneof(awkward, fc.nat(data.byteLength), fc.constantFrom(null, '4', [4], {}, true));
    const lists = fc.oneof(fc.array(numbers, { maxLength: 4 }), numbers);
    const dtypes = fc.oneof(fc.constantFrom(...Object.keys(ELEMENT_BYTES)), fc.string(), numbers);
    const lies = fc.record({ dtype: dtypes, shape: lists, data_offsets: lists }, { requiredKeys: [] });
    const lie = async (name: string, change: object) => {
      const lying = { ...header, [name]: { ...header[name], ...change } };
      expectSoundOrRefused(await outcome(openSafetensors, safetensors(lying, data)));
    };
    await fc.assert(fc.asyncProperty(fc.constantFrom(...names), lies, lie), { numRuns: 1000 });
  });
});

describe('An npz archive', () => {
  const stored = bytesOf(gemmaScopePath('tiny-a', 0));

  /** The same arrays, compressed. */
  const deflatedArchive = async () => {
    const contents = (await outcome(openNpz, stored)) as Contents;
    const parts = [...contents.values()].map(({ info, bytes }) => ({
      name: `${info.name}.npy`,
      bytes: npy({
        header: `{'descr': '<f4', 'fortran_order': False, 'shape': (${info.shape.join(', ')},), }\n`,
        data: bytes,
      }),
      deflate: true,
    }));
    return zip(parts);
  };

  it('gives the same arrays compressed and stored', async () => {
    expect(await outcome(openNpz, await deflatedArchive())).toEqual(await outcome(openNpz, stored));
  });

  it.each(['stored', 'deflated'])(
    'is refused, or read as it was, wherever it is damaged (%s)',
    async (method) => {
      const original = method === 'stored' ? stored : await deflatedArchive();
      const before = await outcome(openNpz, original);
      expect(before).toBeInstanceOf(Map);
      const expectSameOrRefused = async (bytes: Uint8Array) => {
        const after = await outcome(openNpz, bytes);
        if (!(after instanceof BadFileError)) expect(after).toEqual(before);
      };
      const anywhere = flips(original.byteLength);
      const directoryBytes = 400;
      const inDirectory = flips(directoryBytes).map((changes) =>
        changes.map(([place, bits]): [number, number] => [original.byteLength - 1 - place, bits]),
      );
      const inFirstHeaders = flips(200);
      await fc.assert(
        fc.asyncProperty(fc.oneof(anywhere, inDirectory, inFirstHeaders), (changes) =>
          expectSameOrRefused(flipped(original, changes)),
        ),
        RUNS,
      );
    },
  );

  it('is refused wherever it was cut', async () => {
    const cut = async (length: number) => {
      expect(await outcome(openNpz, stored.subarray(0, length))).toBeInstanceOf(BadFileError);
    };
    await fc.assert(fc.asyncProperty(fc.nat(stored.byteLength - 1), cut), RUNS);
  });
});
