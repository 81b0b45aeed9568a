/** Viewer: reads and writes the annotations file beside a graph. */
import { lstat } from 'node:fs/promises';
import { BadFileError } from '../errors.ts';
import { errnoCode } from '../formats/system-errors.ts';
import { readAnnotations, writeAnnotations, type Annotations } from '../graph/annotations.ts';

export const ANNOTATIONS_ENDING = '.annotations.json';

/** Null when there is no file yet. Throws `BadFileError` for a damaged file, and for a symbolic link. */
export async function loadAnnotations(file: string): Promise<Annotations | null> {
  await refuseLink(file);
  return await readAnnotations(file);
}

/**
 * The file appears complete or not at all. Throws `BadFileError` for a symbolic link, since writing through it could replace a
 * graph or a file elsewhere. A link that appears after the check is replaced, not followed.
 */
export async function saveAnnotations(file: string, annotations: Annotations): Promise<void> {
  await refuseLink(file);
  await writeAnnotations(file, annotations, { existing: 'replace link' });
}

async function refuseLink(file: string): Promise<void> {
  try {
    if ((await lstat(file)).isFile()) return;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return;
    throw error;
  }
  throw new BadFileError({
    code: 'not_a_file',
    message: `${file} is a link or not a regular file: annotations are stored in regular files only`,
    hint: 'Move or delete it.',
  });
}
