/** Viewer: files beside graphs that are read and written have to be regular ones. */
import { lstat } from 'node:fs/promises';
import { BadFileError } from '../errors.ts';
import { errnoCode } from '../formats/system-errors.ts';

/** Throws `BadFileError` for a symbolic link and other special files. @param what the file holds, for the message */
export async function refuseLink(file: string, what: string): Promise<void> {
  try {
    if ((await lstat(file)).isFile()) return;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return;
    throw error;
  }
  throw new BadFileError({
    code: 'not_a_file',
    message: `${file} is a link or not a regular file: ${what} are stored in regular files only`,
    hint: 'Move or delete it.',
  });
}
