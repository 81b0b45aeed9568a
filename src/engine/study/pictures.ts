/** Engine, studies: pictures of answers. */
import path from 'node:path';
import { writeFileAtomic } from '../../formats/atomic.ts';
import { addedTables, DESCRIPTION_FILE, readDescription, tableFile } from '../../study/description.ts';
import { TABLE_NAMES } from '../../study/tables.ts';
import type { SavedFileResult } from '../result.ts';
import { refuseInputs } from '../refuse-inputs.ts';
import { writtenFile } from '../written-file.ts';
import type { NamedFeature, NamedLink } from './types.ts';

const PERCENT = 100;

/** Refuses, before anything is computed, outputs that would replace a file of the study or a table beside it. Errors as `readDescription`. */
export async function refuseStudyFiles(
  study: string,
  outputs: readonly (string | undefined)[],
): Promise<void> {
  const given = outputs.filter((output) => output !== undefined);
  if (given.length === 0) return;
  await readDescription(study);
  const tables = [...TABLE_NAMES, ...(await addedTables(study))].map((table) => tableFile(study, table));
  await refuseInputs(given, [path.join(study, DESCRIPTION_FILE), ...tables], `a file of the study ${study}`);
}

/** What is written where no picture is asked for: nothing. */
export async function writePicture(
  svg: string | undefined,
  draw: () => string,
  signal: AbortSignal | undefined,
): Promise<SavedFileResult[]> {
  if (svg === undefined) return [];
  await writeFileAtomic(svg, draw(), { signal });
  return [await writtenFile(svg)];
}

/** A feature or a link, in front of its bar. */
export function barLabel(one: NamedFeature | NamedLink): string {
  if ('source' in one) return `${one.source} → ${one.target}`;
  const name = `${one.layer}/${one.feature}`;
  return one.label === null ? name : `${name} ${one.label}`;
}

export function percent(share: number): string {
  return `${(share * PERCENT).toFixed(0)} %`;
}
