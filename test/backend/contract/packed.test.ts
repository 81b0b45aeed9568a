/** What every backend promises about packed parameters: the numbers of the blocks, and products with them. */
import { expect, it } from '@jest/globals';
import type { WeightSource } from '../../../src/backend/backend.ts';
import { openGguf, type GgufFile } from '../../../src/formats/gguf.ts';
import { widen } from '../../../src/formats/dtype.ts';
import { PACKED_TYPES, type PackedType } from '../../../src/formats/packed.ts';
import { weightInfo } from '../../../src/model/weight-info.ts';
import { weightSource } from '../../../src/backend/weight-source.ts';
import { describeEachBackend } from '../../support/backends.ts';
import { IS_FULL_ON_WEBGPU } from '../../support/golden.ts';
import { gguf } from '../../support/gguf.ts';
import { matrix, product, transposed, wholeNumbers, type Matrix } from '../../support/matrices.ts';
import { KEPT, multiply, valuesOf, WAYS } from '../../support/weights.ts';

/** For a sum of 768 terms. */
const LARGEST_ERROR = 768 * 2 ** -24;
/** Engines flush subnormal numbers to zero: for a sum of 768 terms of up to 8 of them. */
const FLUSHED = 768 * 8 * 2 ** -126;

/** Numbers behind the first blocks of the file, which hold the extreme scales. */
async function stored(
  file: GgufFile,
  type: PackedType,
  isTransposed: boolean,
): Promise<[WeightSource, Matrix]> {
  const info = weightInfo(file.name, file.tensors.get(type)!, 'checkpoint');
  const values = widen(await file.read(`${type}.values`), 'F32');
  const whole = matrix(3, 768, (i) => values[i]!);
  return [weightSource(file, info, isTransposed), isTransposed ? transposed(whole) : whole];
}

function expectClose(found: readonly number[], { exact, magnitude }: ReturnType<typeof product>): void {
  expect(found).toHaveLength(exact.length);
  const wrong = found.findIndex(
    (value, i) => !(Math.abs(value - exact[i]!) <= LARGEST_ERROR * magnitude[i]! + FLUSHED),
  );
  expect(wrong === -1 ? '' : `${found[wrong]} for ${exact[wrong]}`).toBe('');
}

describeEachBackend('a packed weight', (backend, device) => {
  it.each(PACKED_TYPES)('%s has the rows of its file, bit by bit, held or not', async (type) => {
    using file = await openGguf(gguf('packed'));
    const [source, { values, columns }] = await stored(file, type, false);
    const expected = [2, 0, 2].flatMap((row) => [...values.subarray(row * columns, (row + 1) * columns)]);
    for (const way of WAYS) {
      using weight = await KEPT[way](backend(), source);
      expect(weight.storedBytes).toBe(file.tensors.get(type)!.byteLength);
      expect(await valuesOf(await weight.rows(Int32Array.of(2, 0, 2)))).toEqual(expected);
      using held = await weight.acquire();
      expect(await valuesOf(held.rows(Int32Array.of(2, 0, 2)))).toEqual(expected);
      expect(weight.heldBytes).toBe(weight.storedBytes);
    }
  });

  it.each(PACKED_TYPES.flatMap((type) => [false, true].map((isTransposed) => ({ type, isTransposed }))))(
    '$type, stored transposed: $isTransposed, multiplies in both directions',
    async ({ type, isTransposed }) => {
      using file = await openGguf(gguf('packed'));
      const [source, W] = await stored(file, type, isTransposed);
      using weight = await KEPT.loaded(backend(), source);
      // A software WebGPU device takes a second for each shader.
      for (const n of device === 'webgpu' && !IS_FULL_ON_WEBGPU ? [3] : [1, 3, 30, 300]) {
        const [x, y] = [wholeNumbers(n, W.rows, n), wholeNumbers(n, W.columns, n + 1)];
        expectClose(await multiply(weight, x, false), product(x, W));
        expectClose(await multiply(weight, y, true), product(y, transposed(W)));
      }
      if (!isTransposed) return;
      using held = await weight.acquire();
      const picked = await valuesOf(held.rows(Int32Array.of(700, 5)));
      expect(picked).toEqual([700, 5].flatMap((row) => [...W.values.subarray(row * 3, row * 3 + 3)]));
    },
  );
});
