/** Engine: a file that a verb has written, for its result. */
import { stat } from 'node:fs/promises';
import type { SavedFileResult } from './result.ts';

export async function writtenFile(path: string): Promise<SavedFileResult> {
  return { path, bytes: (await stat(path)).size };
}
