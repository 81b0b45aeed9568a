/**
 * Model: matrices packed as MXFP4, as GPT-OSS publishes its experts. Of each 32 inputs of an output, `_blocks` has 16 bytes with two
 * values each, the low four bits first, and `_scales` one exponent. Unpacked they are exact in bfloat16.
 */
import type { WeightSource } from '../backend/backend.ts';
import type { WeightInfo } from '../backend/weight-source.ts';
import { BadFileError } from '../errors.ts';
import { ELEMENT_BYTES } from '../formats/dtype.ts';
import type { RowRange, TensorFile, TensorInfo } from '../formats/tensor-file.ts';

export const MXFP4_GROUP = 32;
const BYTES_PER_GROUP = MXFP4_GROUP / 2;
/** Rows are unpacked in pieces of about this many bytes. */
const PIECE_BYTES = 4 * 2 ** 20;

/** The tensors of a packed matrix. */
export function mxfp4Keys(key: string): readonly [blocks: string, scales: string] {
  return [`${key}_blocks`, `${key}_scales`];
}

/** Bits of ±0, 0.5, 1, 1.5, 2, 3, 4, 6 in bfloat16, without the scale; each entry two values, by byte. */
const VALUES = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
const SCALE_BIAS = 127;

/**
 * The two tensors as one of bfloat16, [stack, outputs, inputs], whose name is `key` and whose bytes are those of both. Throws
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
  return { name: key, dtype: 'BF16', shape, byteLength: blocks.byteLength + scales.byteLength };
}

/** The matrix [stack · outputs, inputs] in bfloat16, unpacked where it is read. */
export function mxfp4Source(file: TensorFile, { name, shape }: WeightInfo): WeightSource {
  const inputs = shape.at(-1)!;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const groups = inputs / MXFP4_GROUP;
  const [blocks, scales] = mxfp4Keys(name);
  const rowBytes = inputs * ELEMENT_BYTES.BF16;
  const unpackRows = async ({ start, stop }: RowRange, target: Uint8Array): Promise<void> => {
    const packed = new Uint8Array((stop - start) * groups * BYTES_PER_GROUP);
    const exponents = new Uint8Array((stop - start) * groups);
    // A vector of blocks is a group, one of scales a row.
    await file.readInto(blocks, packed, { start: start * groups, stop: stop * groups });
    await file.readInto(scales, exponents, { start, stop });
    unpack(packed, exponents, target);
  };
  return {
    name: `${name} in ${file.name}`,
    shape: [rows, inputs],
    dtype: 'bfloat16',
    async readInto(target, { start, stop }) {
      const atOnce = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
      for (let row = start; row < stop; row += atOnce) {
        const end = Math.min(stop, row + atOnce);
        await unpackRows(
          { start: row, stop: end },
          target.subarray((row - start) * rowBytes, (end - start) * rowBytes),
        );
      }
    },
    async readRows(indices) {
      const target = new Uint8Array(indices.length * rowBytes);
      for (const [i, row] of Array.from(indices).entries())
        await unpackRows({ start: row, stop: row + 1 }, target.subarray(i * rowBytes, (i + 1) * rowBytes));
      return target;
    },
  };
}

/** By exponent and value of four bits, the upper half of a float32. */
const TABLE = new Uint16Array(256 * 16);
{
  const one = new Float32Array(1);
  const bits = new Uint32Array(one.buffer);
  for (let exponent = 0; exponent < 256; exponent++) {
    for (let value = 0; value < 16; value++) {
      one[0] = (value < 8 ? 1 : -1) * VALUES[value % 8]! * 2 ** (exponent - SCALE_BIAS);
      TABLE[exponent * 16 + value] = bits[0]! >>> 16;
    }
  }
}

function unpack(packed: Uint8Array, exponents: Uint8Array, target: Uint8Array): void {
  const isAligned = target.byteOffset % 2 === 0;
  const values = isAligned
    ? new Uint16Array(target.buffer, target.byteOffset, target.byteLength / 2)
    : new Uint16Array(target.byteLength / 2);
  for (let group = 0, at = 0; group < exponents.length; group++) {
    const row = exponents[group]! * 16;
    for (let i = group * BYTES_PER_GROUP; i < (group + 1) * BYTES_PER_GROUP; i++) {
      const byte = packed[i]!;
      values[at++] = TABLE[row + (byte & 15)]!;
      values[at++] = TABLE[row + (byte >> 4)]!;
    }
  }
  if (!isAligned) target.set(new Uint8Array(values.buffer));
}
