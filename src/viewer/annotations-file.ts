/** Viewer: reads and writes the annotations file beside a graph. */
import { readAnnotations, writeAnnotations, type Annotations } from '../graph/annotations.ts';
import { refuseLink } from './regular-file.ts';

export const ANNOTATIONS_ENDING = '.annotations.json';
/** As errors call them. */
const WHAT = 'annotations';

/** Null when there is no file yet. Throws `BadFileError` for a damaged file, and for a symbolic link. */
export async function loadAnnotations(file: string): Promise<Annotations | null> {
  await refuseLink(file, WHAT);
  return await readAnnotations(file);
}

/**
 * The file appears complete or not at all. Throws `BadFileError` for a symbolic link, since writing through it could replace a
 * graph or a file elsewhere. A link that appears after the check is replaced, not followed.
 */
export async function saveAnnotations(file: string, annotations: Annotations): Promise<void> {
  await refuseLink(file, WHAT);
  await writeAnnotations(file, annotations, { existing: 'replace link' });
}
