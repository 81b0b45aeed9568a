/** Backend, native TensorFlow: rows and columns of stored matrices as float32 tensors, in raw ops. */
import { pickColumns, pickRows } from '../host-gather.ts';
import type { RawOps } from './binding.ts';
import type { BlockedMatrix, StoredMatrix } from './storage.ts';

/** Rows or columns of a packed matrix, unpacked in this process: [indices.length, columns], or [indices.length, rows]. */
export function gatherPacked(
  raw: RawOps,
  { host, rows, columns }: StoredMatrix,
  indices: Int32Array,
  axis: 'rows' | 'columns',
): number {
  const picked = axis === 'rows' ? pickRows(host, indices) : pickColumns(host, indices);
  return raw.floats(picked, indices.length, axis === 'rows' ? columns : rows);
}

/** Rows, [indices.length, columns]. Not for packed types. */
export function gatherRows(raw: RawOps, matrix: BlockedMatrix, indices: Int32Array): number {
  const { dtype } = matrix;
  const parts: number[] = [];
  // Position of a row among the parts, for each index.
  const order = new Int32Array(indices.length);
  let nPicked = 0;
  for (const { start, rows, stored } of matrix.blocks()) {
    const positions = [...indices.keys()].filter((i) => indices[i]! >= start && indices[i]! < start + rows);
    if (positions.length === 0) continue;
    for (const i of positions) order[i] = nPicked++;
    parts.push(
      pick(
        raw,
        stored!,
        Int32Array.from(positions, (i) => indices[i]! - start),
        0,
        dtype,
      ),
    );
  }
  if (parts.length === 1) return parts[0]!;
  const all = raw.concat(parts, 0);
  const ordered = raw.gather(all, order, 0, raw.FLOAT);
  raw.delete(all, ...parts);
  return ordered;
}

/** Columns, [indices.length, rows]. Not for packed types. */
export function gatherColumns(raw: RawOps, matrix: BlockedMatrix, indices: Int32Array): number {
  const parts = matrix.blocks().map(({ stored }) => pick(raw, stored!, indices, 1, matrix.dtype));
  const all = parts.length === 1 ? parts[0]! : raw.concat(parts, 0);
  const upright = raw.transpose(all, raw.FLOAT);
  raw.delete(all, ...(parts.length === 1 ? [] : parts));
  return upright;
}

/** Rows (axis 0) or columns (axis 1) of a stored tensor, as float32. */
export function pick(raw: RawOps, stored: number, indices: Int32Array, axis: 0 | 1, dtype: number): number {
  const picked = raw.gather(stored, indices, axis, dtype);
  if (dtype === raw.FLOAT) return picked;
  const wide = raw.cast(picked, dtype, raw.FLOAT);
  raw.delete(picked);
  return wide;
}
