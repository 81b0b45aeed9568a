/** Model: parameters that are NaN or infinite, found and named. */
import { BadFileError } from '../errors.ts';
import { firstNonFiniteStored, readable } from '../formats/dtype.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import { tensorInfo } from '../formats/tensor-reader.ts';

const CHECKED_AT_ONCE_BYTES = 16 * 1024 * 1024;

/** The error for a parameter with NaN or infinite numbers in it. */
export function notFinite(fileName: string, key: string): BadFileError {
  return new BadFileError({
    code: 'not_finite',
    message: `${fileName}: ${key} holds NaN or infinite numbers`,
    hint: 'The file is damaged, or the checkpoint was saved from a run that had diverged.',
  });
}

/**
 * The first parameter with a number that is not finite, read from the file piece by piece; undefined when all are
 * finite. Called when a result is not finite: a check of every number at every load would take longer than the load itself.
 */
export async function findNotFinite(file: TensorFile, keys: Iterable<string>): Promise<string | undefined> {
  for (const key of keys) {
    const info = readable(file.name, tensorInfo(file, key));
    const nRows = info.shape[0] ?? 1;
    const rowBytes = info.byteLength / Math.max(1, nRows);
    const rowsAtOnce = Math.max(1, Math.floor(CHECKED_AT_ONCE_BYTES / Math.max(1, rowBytes)));
    for (let start = 0; start < nRows; start += rowsAtOnce) {
      const bytes = await file.read(key, { start, stop: Math.min(nRows, start + rowsAtOnce) });
      if (firstNonFiniteStored(bytes, info.dtype) >= 0) return key;
    }
  }
  return undefined;
}
