/** Engine: a file that a verb has written, for its result. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { SavedFileResult } from './result.ts';

export async function writtenFile(path: string): Promise<SavedFileResult> {
  // As it was written: `new/../x` needs no folder `new`.
  return { path, bytes: (await stat(resolve(path))).size };
}
