/** Memory for stored matrices: what is used again, what is not, and what is said when there is none. */
import { describe, expect, it } from '@jest/globals';
import { ExhaustedError } from '../../src/errors.ts';
import type { MatrixSource } from '../../src/backend/backend.ts';
import { HostMemory } from '../../src/backend/host-memory.ts';

/** A float32 matrix whose bytes are all `value`. */
function filled(rows: number, columns: number, value: number): MatrixSource {
  return {
    name: `W_${value}`,
    shape: [rows, columns],
    dtype: 'float32',
    readInto(target) {
      target.fill(value);
      return Promise.resolve();
    },
  };
}

function counted() {
  const sizes: number[] = [];
  const memory = new HostMemory((byteLength) => {
    sizes.push(byteLength);
    return new Uint8Array(byteLength);
  });
  return { memory, sizes };
}

describe('memory for stored matrices', () => {
  it('is used again for streamed matrices that fit into it', async () => {
    const { memory, sizes } = counted();
    for (const [rows, value] of [
      [8, 1],
      [3, 2],
      [8, 3],
    ] as const) {
      using matrix = await memory.read(filled(rows, 5, value), 'streamed');
      expect(matrix.heldBytes).toBe(rows * 5 * 4);
      expect(new Set(matrix.bytes)).toEqual(new Set([value]));
    }
    (await memory.read(filled(9, 5, 4), 'streamed'))[Symbol.dispose]();
    expect(sizes).toEqual([160, 180]);
  });

  it('is never shared by two matrices at once', async () => {
    const { memory, sizes } = counted();
    using first = await memory.read(filled(4, 4, 1), 'streamed');
    using second = await memory.read(filled(4, 4, 2), 'streamed');
    expect([first.bytes[0], second.bytes[0]]).toEqual([1, 2]);
    expect(sizes).toEqual([64, 64]);
  });

  it('is new for kept matrices, exactly as large as they are, and not used again', async () => {
    const { memory, sizes } = counted();
    (await memory.read(filled(10, 4, 1), 'streamed'))[Symbol.dispose]();
    (await memory.read(filled(2, 4, 2), 'kept'))[Symbol.dispose]();
    (await memory.read(filled(1, 4, 3), 'kept'))[Symbol.dispose]();
    expect(sizes).toEqual([160, 32, 16]);
  });

  it('is used again after a reading that failed', async () => {
    const { memory, sizes } = counted();
    const broken = { ...filled(4, 4, 1), readInto: () => Promise.reject(new Error('unplugged')) };
    await expect(memory.read(broken, 'streamed')).rejects.toThrow('unplugged');
    (await memory.read(filled(4, 4, 2), 'streamed'))[Symbol.dispose]();
    expect(sizes).toEqual([64]);
  });

  it('is not allocated for bytes that are in memory already', async () => {
    const { memory, sizes } = counted();
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
    using matrix = await memory.read({ ...filled(2, 2, 9), bytes }, 'streamed');
    expect(matrix.bytes).toBe(bytes);
    expect([...matrix.rowRange({ start: 1, stop: 2 })]).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
    expect(sizes).toEqual([]);
  });

  it('is reported by the name of the weight that needs it, where there is none', async () => {
    const memory = new HostMemory(() => {
      throw new RangeError('Array buffer allocation failed');
    });
    const error = await memory.read(filled(1000, 1000, 7), 'kept').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ExhaustedError);
    expect(error).toMatchObject({
      code: 'out_of_memory',
      message: expect.stringMatching(/W_7 needs 4000000 bytes/),
    });
  });

  it.each([
    [
      5,
      4,
      8,
      [
        [0, 2],
        [2, 4],
        [4, 5],
      ],
    ],
    [5, 4, 100, [[0, 5]]],
    [
      2,
      10,
      8,
      [
        [0, 1],
        [1, 2],
      ],
    ],
  ])('divides [%i, %i] into blocks of %i numbers by whole rows', async (rows, columns, numbers, expected) => {
    using matrix = await counted().memory.read(filled(rows, columns, 1), 'kept');
    expect(matrix.blocks(numbers).map(({ start, stop }) => [start, stop])).toEqual(expected);
  });
});
