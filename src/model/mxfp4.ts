/**
 * Model: matrices packed as MXFP4, as GPT-OSS publishes its experts. Of each 32 inputs of an output, `_blocks` has 16 bytes with two
 * values each, the low four bits first, and `_scales` one exponent.
 */
import type { WeightSource } from '../backend/backend.ts';
import type { WeightInfo } from '../backend/weight-source.ts';
import { BadFileError } from '../errors.ts';
import { bytesOfNumbers } from '../formats/dtype.ts';
import type { RowRange, TensorFile, TensorInfo } from '../formats/tensor-file.ts';

export const MXFP4_GROUP = 32;
const BYTES_PER_GROUP = MXFP4_GROUP / 2;
/** Rows are unpacked in pieces of about this many bytes. */
const PIECE_BYTES = 4 * 2 ** 20;

/** The tensors of a packed matrix. */
export function mxfp4Keys(key: string): readonly [blocks: string, scales: string] {
  return [`${key}_blocks`, `${key}_scales`];
}

/**
 * The two tensors as one, [stack, outputs, inputs], whose name is `key` and whose bytes are those of both. Throws
 * `BadFileError` for a type or a shape that is not that of packed weights.
 * @param shape expected of the unpacked tensor
 */
export function mxfp4Info(
  fileName: string,
  key: string,
  shape: readonly number[],
  find: (key: string) => TensorInfo,
): WeightInfo {
  const inputs = shape.at(-1)!;
  const outer = shape.slice(0, -1);
  const groups = inputs / MXFP4_GROUP;
  const [blocks, scales] = mxfp4Keys(key).map(find) as [TensorInfo, TensorInfo];
  for (const [info, expected] of [
    [blocks, [...outer, groups, BYTES_PER_GROUP]],
    [scales, [...outer, groups]],
  ] as const) {
    if (info.dtype === 'U8' && info.shape.join() === expected.join()) continue;
    throw new BadFileError({
      code: info.dtype === 'U8' ? 'tensor_shape' : 'tensor_dtype',
      message: `${fileName}: ${info.name} is ${info.dtype} [${info.shape.join(', ')}], expected U8 [${expected.join(', ')}] by config.json: weights packed as mxfp4`,
      hint: 'Does config.json belong to these weights?',
    });
  }
  return { name: key, dtype: 'MXFP4', shape, byteLength: blocks.byteLength + scales.byteLength };
}

/** The matrix [stack · outputs, inputs], each group as one block with its scale (`formats/packed.ts`). */
export function mxfp4Source(file: TensorFile, { name, shape, dtype }: WeightInfo): WeightSource {
  const inputs = shape.at(-1)!;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const groups = inputs / MXFP4_GROUP;
  const [blocks, scales] = mxfp4Keys(name);
  const rowBytes = bytesOfNumbers(dtype, inputs);
  const joinRows = async ({ start, stop }: RowRange, target: Uint8Array): Promise<void> => {
    const values = new Uint8Array((stop - start) * groups * BYTES_PER_GROUP);
    const exponents = new Uint8Array((stop - start) * groups);
    // A vector of blocks is a group, one of scales a row.
    await file.readInto(blocks, values, { start: start * groups, stop: stop * groups });
    await file.readInto(scales, exponents, { start, stop });
    join(values, exponents, target);
  };
  return {
    name: `${name} in ${file.name}`,
    shape: [rows, inputs],
    dtype: 'MXFP4',
    async readInto(target, { start, stop }) {
      const atOnce = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
      for (let row = start; row < stop; row += atOnce) {
        const end = Math.min(stop, row + atOnce);
        await joinRows(
          { start: row, stop: end },
          target.subarray((row - start) * rowBytes, (end - start) * rowBytes),
        );
      }
    },
    async readRows(indices) {
      const target = new Uint8Array(indices.length * rowBytes);
      for (const [i, row] of Array.from(indices).entries())
        await joinRows({ start: row, stop: row + 1 }, target.subarray(i * rowBytes, (i + 1) * rowBytes));
      return target;
    },
  };
}

/** Blocks have the scale first, and a byte has the values i and i + 16 instead of 2i and 2i + 1. */
function join(values: Uint8Array, exponents: Uint8Array, target: Uint8Array): void {
  const half = BYTES_PER_GROUP / 2;
  for (let group = 0, from = 0, to = 0; group < exponents.length; group++, from += BYTES_PER_GROUP) {
    target[to++] = exponents[group]!;
    for (let i = from; i < from + half; i++) {
      const [low, high] = [values[i]!, values[i + half]!];
      target[to++] = (low & 0x0f) | ((high & 0x0f) << 4);
      target[to++] = (low >> 4) | (high & 0xf0);
    }
  }
}
