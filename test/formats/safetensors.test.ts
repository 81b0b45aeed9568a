import { describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { BadFileError, EXIT, NotFoundError } from '../../src/errors.ts';
import { memorySource } from '../../src/formats/byte-source.ts';
import { readable, widen } from '../../src/formats/dtype.ts';
import { LARGEST_HEADER_BYTES, openSafetensors } from '../../src/formats/safetensors.ts';
import { bytesOf, contentsOf, GOLDEN, refusalOf, safetensors } from './support.ts';

const open = (bytes: Uint8Array) => openSafetensors(memorySource('hostile.safetensors', bytes));
const cross = join(GOLDEN, 'tiny-b/transcoders/clt/W_dec_0.safetensors');

describe('A real safetensors file', () => {
  it('lists its tensors and metadata without reading them', async () => {
    using file = await openSafetensors(join(GOLDEN, 'tiny-a/model/model.safetensors'));
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(file.tensors.size).toBe(46);
    expect(file.tensors.get('model.layers.3.self_attn.k_proj.weight')).toEqual({
      name: 'model.layers.3.self_attn.k_proj.weight',
      dtype: 'F32',
      shape: [24, 32],
      byteLength: 24 * 32 * 4,
    });
  });

  it.each(['tiny-a', 'tiny-b'])(
    'holds the encoder rows and skip matrix that the reference used (%s)',
    async (fixture) => {
      using expected = await openSafetensors(
        join(GOLDEN, fixture, 'expected/transcoder-plt-relu-skip.safetensors'),
      );
      const indices = new Int32Array((await expected.read('p2/indices')).buffer);
      const vectors = widen(await expected.read('p2/encoder_vecs'), 'F32');
      const nFeatures = indices.length / 3;
      expect(nFeatures).toBeGreaterThan(0);
      for (let layer = 0; layer <= indices[(nFeatures - 1) * 3]!; layer++) {
        using set = await openSafetensors(
          join(GOLDEN, fixture, `transcoders/plt-relu-skip/layer_${layer}.safetensors`),
        );
        const { dtype, shape } = readable(set.name, set.tensors.get('W_enc')!);
        const rows = Array.from({ length: nFeatures }, (_, i) => i).filter((i) => indices[i * 3] === layer);
        const read = widen(
          await set.readRows(
            'W_enc',
            rows.map((i) => indices[i * 3 + 2]!),
          ),
          dtype,
        );
        const d_model = shape[1]!;
        expect(read).toEqual(
          Float32Array.from(rows.flatMap((i) => [...vectors.subarray(i * d_model, (i + 1) * d_model)])),
        );
      }
    },
  );

  it('gives the same bytes by rows, by row ranges, by vectors and whole', async () => {
    using file = await openSafetensors(cross);
    const [nFeatures, nLayers, d_model] = file.tensors.get('W_dec_0')!.shape as [number, number, number];
    const whole = await file.read('W_dec_0');
    const vectorBytes = d_model * 2;
    const rowBytes = nLayers * vectorBytes;
    const part = (start: number, stop: number) => whole.slice(start, stop);
    expect(await file.read('W_dec_0', { start: 7, stop: 19 })).toEqual(part(7 * rowBytes, 19 * rowBytes));
    expect(await file.read('W_dec_0', { start: nFeatures, stop: nFeatures })).toEqual(new Uint8Array());
    const indices = [nFeatures - 1, 3, 4, 5, 5, 0];
    const rows = indices.flatMap((row) => [...part(row * rowBytes, (row + 1) * rowBytes)]);
    expect([...(await file.readRows('W_dec_0', indices))]).toEqual(rows);
    const vectors = indices.flatMap((vector) => [...part(vector * vectorBytes, (vector + 1) * vectorBytes)]);
    expect([...(await file.readVectors('W_dec_0', Int32Array.from(indices)))]).toEqual(vectors);
    const target = new Uint8Array(2 * vectorBytes);
    await file.readInto('W_dec_0', target, { start: nLayers + 1, stop: nLayers + 3 });
    expect(target).toEqual(part(rowBytes + vectorBytes, rowBytes + 3 * vectorBytes));
  });

  it('answers a mistyped tensor name with the nearest one, and rows it does not have with how many it has', async () => {
    using file = await openSafetensors(cross);
    const missing = await refusalOf(file.read('W_dec_O'));
    expect(missing).toMatchObject({ exitCode: EXIT.badFile, code: 'tensor_missing' });
    expect(missing.message).toContain(cross);
    expect(missing.hint).toContain('W_dec_0');
    for (const index of [160, -1, 0.5]) {
      const error = await refusalOf(file.readRows('W_dec_0', [0, index]));
      expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'tensor_rows' });
      expect(error.message).toContain('160 rows');
    }
    await expect(file.readInto('W_dec_0', new Uint8Array(1))).rejects.toThrow('the target has 1 bytes');
  });
});

describe('A good safetensors file with a tensor that cannot be read', () => {
  /** Types of safetensors 0.8 with the bytes of 8 elements, and names that no version has. */
  const types: [string, number][] = [
    ['F4', 4],
    ['F6_E2M3', 6],
    ['F6_E3M2', 6],
    ['F8_E5M2', 8],
    ['F8_E4M3', 8],
    ['F8_E5M2FNUZ', 8],
    ['F8_E4M3FNUZ', 8],
    ['F8_E8M0', 8],
    ['C64', 64],
    ['F31', 5],
    ['toString', 5],
  ];
  const x = Float32Array.of(1, 2);
  const fileWith = (dtype: string, bytes: number) =>
    safetensors(
      {
        other: { dtype, shape: bytes === 0 ? [3, 0] : [8], data_offsets: [0, bytes] },
        x: { dtype: 'F32', shape: [2], data_offsets: [bytes, bytes + 8] },
      },
      new Uint8Array([...new Uint8Array(bytes), ...new Uint8Array(x.buffer)]),
    );

  it.each(types.flatMap(([dtype, bytes]) => [[dtype, bytes] as const, [dtype, 0] as const]))(
    'opens; only reading that tensor is refused, by name (%s, %d bytes)',
    async (dtype, bytes) => {
      using file = await open(fileWith(dtype, bytes));
      expect([...file.tensors.keys()]).toEqual(['other', 'x']);
      expect(file.tensors.get('other')).toMatchObject({ dtype, byteLength: bytes });
      expect(widen(await file.read('x'), 'F32')).toEqual(x);
      for (const reading of [
        () => file.read('other'),
        () => file.readInto('other', new Uint8Array(bytes)),
        () => file.readRows('other', []),
        () => file.readVectors('other', []),
      ]) {
        const error = await refusalOf(reading());
        expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'tensor_dtype' });
        for (const part of ['hostile.safetensors', 'other', dtype]) expect(error.message).toContain(part);
      }
    },
  );

  it('may have null for its metadata, which is the same as none', async () => {
    using file = await open(safetensors({ __metadata__: null, x: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, new Uint8Array(x.buffer))); // prettier-ignore
    expect([...file.tensors.keys()]).toEqual(['x']);
    expect(file.metadata).toEqual({});
    expect(widen(await file.read('x'), 'F32')).toEqual(x);
  });
});

describe('A safetensors file that is wrong', () => {
  it('is not found when it does not exist', async () => {
    const error = await refusalOf(openSafetensors('/no/such/model.safetensors'));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.message).toContain('/no/such/model.safetensors');
  });

  const f32 = (shape: unknown, data_offsets: unknown, dtype: unknown = 'F32') => ({
    dtype,
    shape,
    data_offsets,
  });
  const four = new Uint8Array(4);
  const eight = new Uint8Array(8);
  const length = (claimed: bigint) => new Uint8Array(BigUint64Array.of(claimed, 0n, 0n).buffer);
  const deep = '['.repeat(100_000) + ']'.repeat(100_000);
  const cases: [string, Uint8Array, string, string][] = [
    ['an empty file', new Uint8Array(), 'safetensors_header', 'this one has 0'],
    ['a header longer than the file', length(17n), 'safetensors_header', 'claims 17 bytes'],
    ['a header of 2^64 - 1 bytes', length(2n ** 64n - 1n), 'safetensors_header', '18446744073709551615'],
    [
      'a header above the limit',
      length(BigInt(LARGEST_HEADER_BYTES) + 1n),
      'safetensors_header',
      '100000001',
    ],
    ['a header that is no JSON', safetensors('{"a":'), 'safetensors_header', 'not JSON'],
    ['a header that is a list', safetensors([]), 'safetensors_header', 'JSON object'],
    ['a header that is null', safetensors('null'), 'safetensors_header', 'JSON object'],
    ['a header that begins with a space', safetensors(' {}'), 'safetensors_header', 'JSON object'],
    ['a header with a byte order mark', safetensors('\ufeff{}'), 'safetensors_header', 'not JSON'],
    ['a tensor given twice', safetensors('{"a":1,"\\u0061":2}'), 'safetensors_header', 'key a twice'],
    [
      'a field given twice',
      safetensors('{"a":{"dtype":"F32","dtype":"I32"}}'),
      'safetensors_header',
      'dtype twice',
    ],
    ['an entry that is a number', safetensors({ a: 1 }), 'safetensors_header', 'tensor a'],
    ['metadata that are a text', safetensors({ __metadata__: 'x' }), 'safetensors_header', '__metadata__'],
    ['metadata with a number', safetensors({ __metadata__: { x: 1 } }), 'safetensors_header', '__metadata__'],
    ['a type that is a number', safetensors({ a: f32([1], [0, 4], 4) }, four), 'tensor_dtype', '4'],
    [
      'a length that a type cannot have',
      safetensors({ a: f32([5], [0, 3], 'F4') }, four.subarray(1)),
      'tensor_offsets',
      'needs 2.5 bytes',
    ],
    [
      'too many bytes for a type',
      safetensors({ a: f32([3], [0, 4], 'F8_E4M3') }, four),
      'tensor_offsets',
      '3 bytes',
    ],
    [
      'an unknown type of less than nothing',
      safetensors({ a: f32([1], [4, 0], 'F31') }, four),
      'tensor_offsets',
      '-4',
    ],
    ['no type', safetensors({ a: { shape: [1], data_offsets: [0, 4] } }, four), 'tensor_dtype', 'nothing'],
    ['a negative length', safetensors({ a: f32([-1], [0, 4]) }, four), 'tensor_shape', '[-1]'],
    ['a fractional length', safetensors({ a: f32([0.5], [0, 2]) }, four), 'tensor_shape', '[0.5]'],
    ['a shape that is a text', safetensors({ a: f32('1', [0, 4]) }, four), 'tensor_shape', '"1"'],
    [
      'a shape nested without end',
      safetensors(`{"a":{"dtype":"F32","shape":${deep}}}`),
      'tensor_shape',
      'a list',
    ],
    [
      'a length beyond whole numbers',
      safetensors({ a: f32([2 ** 53], [0, 4]) }, four),
      'tensor_shape',
      '9007199254740992',
    ],
    [
      'a product that overflows',
      safetensors({ a: f32([2 ** 52, 2 ** 52], [0, 4]) }, four),
      'tensor_offsets',
      'needs',
    ],
    [
      'a product that wraps in 64 bits',
      safetensors({ a: f32([2 ** 32, 2 ** 32], [0, 0]) }),
      'tensor_offsets',
      'needs',
    ],
    [
      'offsets that are missing',
      safetensors({ a: { dtype: 'F32', shape: [] } }),
      'tensor_offsets',
      'nothing',
    ],
    ['three offsets', safetensors({ a: f32([1], [0, 4, 4]) }, four), 'tensor_offsets', '[0, 4, 4]'],
    ['offsets in the wrong order', safetensors({ a: f32([1], [4, 0]) }, four), 'tensor_offsets', 'span -4'],
    ['an end behind the file', safetensors({ a: f32([2], [0, 8]) }, four), 'file_truncated', '8 bytes'],
    [
      'bytes for another shape',
      safetensors({ a: f32([2], [0, 4]) }, four),
      'tensor_offsets',
      'needs 8 bytes',
    ],
    [
      'an overlap',
      safetensors({ a: f32([1], [0, 4]), b: f32([1], [2, 6]) }, eight),
      'tensor_offsets',
      'overlaps',
    ],
    [
      'one place for two',
      safetensors({ a: f32([1], [0, 4]), b: f32([1], [0, 4]) }, four),
      'tensor_offsets',
      'overlaps',
    ],
    ['a hole', safetensors({ a: f32([1], [4, 8]) }, eight), 'tensor_offsets', 'hole'],
    ['bytes of no tensor', safetensors({ a: f32([1], [0, 4]) }, eight), 'tensor_offsets', 'the file holds 8'],
  ];
  it.each(cases)('is refused for %s', async (_, bytes, code, found) => {
    const error = await refusalOf(open(bytes));
    expect(error).toBeInstanceOf(BadFileError);
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code });
    expect(error.message).toContain('hostile.safetensors');
    expect(error.message).toContain(found);
  });

  it('gives messages that fit a line and cannot steer the terminal', async () => {
    const error = await refusalOf(open(safetensors({ ['\u001b[2J' + 'x'.repeat(1e6)]: 1 })));
    expect(error.message).not.toContain('\u001b');
    expect(error.message.length).toBeLessThan(300);
  });

  it('is closed when it cannot be opened', async () => {
    let closed = 0;
    const source = { ...memorySource('x', four), [Symbol.dispose]: () => void closed++ };
    await refusalOf(openSafetensors(source));
    expect(closed).toBe(1);
  });
});

describe('A safetensors file at the edge of the format', () => {
  it('may hold nothing, scalars, empty tensors, padding and strange names', async () => {
    expect(await contentsOf(open(safetensors('{}   ')))).toEqual(new Map());
    const header =
      '{"empty":{"dtype":"F64","shape":[0,9007199254740991],"data_offsets":[2,2]},' +
      '"__proto__":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}, "constructor":' +
      '{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}';
    const contents = await contentsOf(open(safetensors(header, Uint8Array.of(1, 2, 3))));
    expect([...contents.keys()]).toEqual(['__proto__', 'empty', 'constructor']);
    expect(contents.get('__proto__')!.bytes).toEqual(Uint8Array.of(1, 2));
    expect(contents.get('empty')!.bytes).toEqual(new Uint8Array());
  });

  it('accepts keys that repeat in different objects or look like keys inside texts', async () => {
    const metadata = { a: '{"a":1,"a":2}', b: '\\"a":' };
    const tensor = { dtype: 'U8', shape: [0], data_offsets: [0, 0] };
    using file = await open(safetensors({ __metadata__: metadata, a: tensor, b: tensor }));
    expect(file.metadata).toEqual(metadata);
  });

  it('is read from a real file byte for byte', async () => {
    const path = join(GOLDEN, 'tiny-b/transcoders/plt-topk/layer_0.safetensors');
    const bytes = bytesOf(path);
    const headerBytes = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const contents = [...(await contentsOf(openSafetensors(path))).values()];
    const joined = Buffer.concat(contents.map(({ bytes: tensor }) => tensor));
    expect(Buffer.compare(joined, bytes.subarray(headerBytes))).toBe(0);
  });
});
