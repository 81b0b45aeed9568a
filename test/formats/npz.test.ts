import { describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { BadFileError, EXIT } from '../../src/errors.ts';
import { memorySource } from '../../src/formats/byte-source.ts';
import { widen } from '../../src/formats/dtype.ts';
import { openNpz } from '../../src/formats/npz.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import type { StorageType } from '../../src/formats/tensor-file.ts';
import { contentsOf, gemmaScopePath, GOLDEN, npy, refusalOf, zip } from './support.ts';

const open = (bytes: Uint8Array) => openNpz(memorySource('hostile.npz', bytes));
const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const header = (descr: string, fortran: boolean, shape: string) =>
  `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shape}, }          \n`;

describe('A real npz of Gemma Scope', () => {
  it('lists its arrays without the suffix of their files', async () => {
    using file = await openNpz(gemmaScopePath('tiny-a', 0));
    expect([...file.tensors.values()].map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ['W_enc', 'F32', [32, 128]],
      ['W_dec', 'F32', [128, 32]],
      ['b_enc', 'F32', [128]],
      ['b_dec', 'F32', [32]],
      ['threshold', 'F32', [128]],
    ]);
  });

  // W_enc lies in C order, W_dec in Fortran order: both have to come out as the reference read them.
  it.each(['tiny-a', 'tiny-b'])(
    'holds the encoder and decoder vectors that the reference used (%s)',
    async (fixture) => {
      using expected = await openSafetensors(
        join(GOLDEN, fixture, 'expected/transcoder-gemmascope.safetensors'),
      );
      const indices = new Int32Array((await expected.read('p2/indices')).buffer);
      const values = widen(await expected.read('p2/values'), 'F32');
      const encoderVectors = widen(await expected.read('p2/encoder_vecs'), 'F32');
      const decoderVectors = widen(await expected.read('p2/decoder_vecs'), 'F32');
      expect(values.length).toBeGreaterThan(0);
      for (let i = 0; i < values.length; i++) {
        const [layer, , feature] = indices.subarray(i * 3, i * 3 + 3) as unknown as [number, number, number];
        using file = await openNpz(gemmaScopePath(fixture, layer));
        const [d_model, nFeatures] = file.tensors.get('W_enc')!.shape as [number, number];
        const W_enc = widen(await file.read('W_enc'), 'F32'); // [d_model, nFeatures]
        const column = Float32Array.from({ length: d_model }, (_, d) => W_enc[d * nFeatures + feature]!);
        expect(column).toEqual(encoderVectors.subarray(i * d_model, (i + 1) * d_model));
        const row = widen(await file.readRows('W_dec', [feature]), 'F32');
        const written = row.map((weight) => weight * values[i]!);
        expect(written).toEqual(decoderVectors.subarray(i * d_model, (i + 1) * d_model));
      }
    },
  );

  it.each(['W_enc', 'W_dec'])('gives the same bytes of %s by rows, by row ranges and whole', async (name) => {
    using file = await openNpz(gemmaScopePath('tiny-b', 1));
    const { shape, byteLength } = file.tensors.get(name)!;
    const rowBytes = byteLength / shape[0]!;
    const whole = await file.read(name);
    const part = (start: number, stop: number) => whole.slice(start * rowBytes, stop * rowBytes);
    expect(await file.read(name, { start: 3, stop: 30 })).toEqual(part(3, 30));
    const picked = [shape[0]! - 1, 4, 5, 4, 0];
    const rows = Uint8Array.from(picked.flatMap((row) => [...part(row, row + 1)]));
    expect(await file.readRows(name, picked)).toEqual(rows);
    expect(await file.readVectors(name, picked)).toEqual(rows);
    const memory = new Uint8Array(2 * rowBytes + 2);
    await file.readInto(name, memory.subarray(1, -1), { start: 1, stop: 3 });
    expect(memory.slice(1, -1)).toEqual(part(1, 3));
  });
});

describe('An npz archive', () => {
  const types: [string, ArrayBufferView, StorageType][] = [
    ['<f2', Uint16Array.of(0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600), 'F16'],
    ['<f4', Float32Array.of(1, 2, 3, 4, 5, 6), 'F32'],
    ['<f8', Float64Array.of(1, 2, 3, 4, 5, 6), 'F64'],
    ['<i4', Int32Array.of(1, 2, 3, 4, 5, 6), 'I32'],
    ['<i8', BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n), 'I64'],
  ];
  it.each(types)('gives matrices of %s in C and Fortran order row by row', async (descr, stored, dtype) => {
    const data = bytesOf(stored);
    const archive = zip([
      { name: 'c.npy', bytes: npy({ header: header(descr, false, '(2, 3)'), data }) },
      { name: 'f.npy', bytes: npy({ header: header(descr, true, '(2, 3)'), data }) },
      { name: 'list.npy', bytes: npy({ header: header(descr, true, '(6,)'), data }) },
      {
        name: 'number.npy',
        bytes: npy({ header: header(descr, true, '()'), data: data.slice(0, data.length / 6) }),
      },
    ]);
    const contents = await contentsOf(open(archive));
    const numbers = (name: string) => {
      const { info, bytes } = contents.get(name)!;
      expect(info.dtype).toBe(dtype);
      return [...widen(bytes, dtype)];
    };
    expect(numbers('c')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(numbers('f')).toEqual([1, 3, 5, 2, 4, 6]);
    expect(numbers('list')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(numbers('number')).toEqual([1]);
  });

  it('may be compressed, in ZIP64, with other files beside the arrays, and of header versions 1 to 3', async () => {
    const values = Float32Array.from({ length: 50_000 }, (_, i) => i % 7);
    const text = header('<f4', false, '(50000,)');
    const data = bytesOf(values);
    const parts = [1, 2, 3].map((version) => ({
      name: `v${version}.npy`,
      bytes: npy({ header: text, version, data }),
      deflate: version > 1,
      zip64: version !== 2,
    }));
    const archive = zip([{ name: 'readme.txt', bytes: Uint8Array.of(1) }, ...parts]);
    using file = await open(archive);
    expect([...file.tensors.keys()]).toEqual(['v1', 'v2', 'v3']);
    for (const name of file.tensors.keys()) {
      expect(await file.readRows(name, [49_999, 8])).toEqual(
        bytesOf(Float32Array.of(values[49_999]!, values[8]!)),
      );
      expect(await file.read(name)).toEqual(data);
    }
  });

  it('reads an empty array, also in Fortran order', async () => {
    const none = new Uint8Array();
    const archive = zip([
      { name: 'c.npy', bytes: npy({ header: header('<f4', false, '(0, 3)'), data: none }) },
      { name: 'f.npy', bytes: npy({ header: header('<f4', true, '(3, 0)'), data: none }), deflate: true },
    ]);
    for (const { bytes } of (await contentsOf(open(archive))).values()) expect(bytes).toEqual(none);
  });
});

describe('A good npz archive with an array that cannot be read', () => {
  const x = Float32Array.of(1, 2);
  const others: [string, string][] = [
    ['big-endian numbers', `'>f4'`],
    ['pickled objects', `'|O'`],
    ['texts', `'<U5'`],
    ['half precision of another kind', `'<V2'`],
    ['truth values', `'|b1'`],
    ['times', `'<M8[ns]'`],
    ['a type from the prototype', `'constructor'`],
    ['records', `[('x', '<f4'), ("y's", '<i8', (2, 3))]`],
    ['records of records', `[(('title', 'x'), [('y', '|u1')])]`],
  ];
  it.each(others)('opens; only reading that array is refused, by name (%s)', async (_, descr) => {
    const text = `{'descr': ${descr}, 'fortran_order': False, 'shape': (3,), }\n`;
    const archive = zip([
      { name: 'other.npy', bytes: npy({ header: text, data: new Uint8Array(7) }) },
      { name: 'x.npy', bytes: npy({ data: bytesOf(x) }) },
    ]);
    using file = await open(archive);
    expect([...file.tensors.keys()]).toEqual(['other', 'x']);
    expect(file.tensors.get('other')).toMatchObject({ shape: [3], byteLength: 7 });
    expect(widen(await file.read('x'), 'F32')).toEqual(x);
    const error = await refusalOf(file.read('other'));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'tensor_dtype' });
    expect(error.message).toContain('hostile.npz: tensor other');
  });

  it('opens with three dimensions in Fortran order', async () => {
    const three = npy({ header: header('<f4', true, '(1, 1, 2)'), data: bytesOf(x) });
    using file = await open(zip([{ name: 'a.npy', bytes: three }]));
    expect((await refusalOf(file.read('a'))).message).toContain('Fortran order with 3 dimensions');
  });
});

describe('An npz archive that is wrong', () => {
  const four = bytesOf(Float32Array.of(1));
  const one = npy({ data: four });
  const array = (text: string, data = four) => zip([{ name: 'a.npy', bytes: npy({ header: text, data }) }]);
  const member = { name: 'a.npy', bytes: one };
  const bomb = { ...member, deflate: true, claims: { byteLength: 2 ** 31 } };
  const miscounted = zip([member, { ...member, name: 'b.npy' }]);
  miscounted[miscounted.length - 12] = 1; // entries in all, in the record at the end
  const long = npy({ header: ' '.repeat(60_000), data: four });
  const cases: [string, Uint8Array, string, string][] = [
    ['no zip', new Uint8Array(100), 'zip_damaged', 'End of central directory'],
    ['nothing', new Uint8Array(), 'zip_damaged', 'hostile.npz'],
    ['an archive without arrays', zip([{ name: 'readme.txt', bytes: one }]), 'npz_empty', '.npy'],
    ['a file of PyTorch', zip([{ name: 'archive/data.pkl', bytes: one }]), 'unknown_format', 'pickle'],
    ['an encrypted member', zip([{ ...member, claims: { flags: 1 } }]), 'zip_damaged', 'mismatch'],
    [
      'a size behind the file',
      zip([{ ...member, claims: { byteLength: 2 ** 31 } }]),
      'zip_damaged',
      'overflows',
    ],
    [
      'a ZIP64 size behind the file',
      zip([{ ...member, zip64: true, claims: { byteLength: 2 ** 50 } }]),
      'zip_damaged',
      'overflows',
    ],
    [
      'a place behind the file',
      zip([{ ...member, claims: { place: 2 ** 31 } }]),
      'file_truncated',
      '2147483648',
    ],
    ['a member that inflates beyond reason', zip([bomb]), 'zip_damaged', 'inflate to 2147483648'],
    ['a name given twice', zip([member, member]), 'zip_damaged', 'twice'],
    [
      'members in one place',
      zip([member, { ...member, name: 'b.npy', claims: { place: 0 } }]),
      'zip_damaged',
      'another name',
    ],
    ['a directory that counts too few', miscounted, 'zip_damaged', 'more members'],
    ['a member that leads out', zip([{ ...member, name: '../a.npy' }]), 'zip_damaged', 'relative path'],
    [
      'a member without content',
      zip([{ name: 'a.npy', bytes: new Uint8Array() }]),
      'npy_header',
      'does not begin',
    ],
    [
      'a member that is no array',
      zip([{ name: 'a.npy', bytes: new Uint8Array(64) }]),
      'npy_header',
      'does not begin',
    ],
    [
      'a version of the future',
      zip([{ name: 'a.npy', bytes: npy({ version: 4, data: four }) }]),
      'npy_header',
      'version is 4',
    ],
    ['a header without end', zip([{ name: 'a.npy', bytes: long }]), 'npy_header', '60000'],
    [
      'a shape that is no tuple',
      array("{'descr': '<f4', 'fortran_order': False, 'shape': (1)}"),
      'npy_header',
      'dictionary',
    ],
    ['a dictionary nested without end', array(`{'descr': ${'['.repeat(5_000)}`), 'npy_header', 'dictionary'],
    ['something behind its header', array(`${header('<f4', false, '(1,)')}1`), 'npy_header', 'dictionary'],
    [
      'code in the header',
      array("{'descr': '<f4', 'fortran_order': False, 'shape': (exit(),)}"),
      'npy_header',
      'dictionary',
    ],
    ['a key that is missing', array("{'descr': '<f4', 'shape': (1,)}"), 'npy_header', 'dictionary'],
    [
      'a key given twice',
      array("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}"),
      'npy_header',
      'dictionary',
    ],
    ['a tuple with a hole', array(header('<f4', false, '(1,,1)')), 'npy_header', 'dictionary'],
    [
      'a length beyond whole numbers',
      array(header('<f4', false, '(9007199254740993,)')),
      'npy_header',
      'dictionary',
    ],
    ['a shape larger than the member', array(header('<f4', false, '(2,)')), 'npy_header', 'needs 8 bytes'],
    [
      'a shape that overflows',
      array(header('<f4', false, '(4294967296, 4294967296)')),
      'npy_header',
      'needs',
    ],
  ];
  it.each(cases)('is refused for %s', async (_, bytes, code, found) => {
    const error = await refusalOf(open(bytes));
    expect(error).toBeInstanceOf(BadFileError);
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code });
    expect(error.message).toContain('hostile.npz');
    expect(error.message).toContain(found);
  });

  it.each([true, false])(
    'is refused for a wrong checksum when an array is read whole (deflated: %p)',
    async (deflate) => {
      using file = await open(zip([{ ...member, deflate, claims: { crc32: 1 } }]));
      const error = await refusalOf(file.read('a'));
      expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'npz_damaged' });
      expect(error.message).toContain('checksum');
    },
  );

  it.each([-1, 1])(
    'is refused when a deflated array ends elsewhere than the archive claims (%p)',
    async (difference) => {
      const bytes = npy({ header: header('<f4', false, '(5000,)'), data: new Uint8Array(20_000) });
      const claimed = bytes.byteLength + difference * 4;
      const lying = npy({
        header: header('<f4', false, `(${5000 + difference},)`),
        data: new Uint8Array(20_000),
      });
      using file = await open(
        zip([{ name: 'a.npy', bytes: lying, deflate: true, claims: { byteLength: claimed } }]),
      );
      expect(await refusalOf(file.read('a'))).toMatchObject({ exitCode: EXIT.badFile, code: 'zip_damaged' });
      expect(await refusalOf(file.readRows('a', [0]))).toMatchObject({ exitCode: EXIT.badFile });
    },
  );
});
