/** Engine, studies: pictures of answers. */
import { writeFileAtomic } from '../../formats/atomic.ts';
import type { SavedFileResult } from '../result.ts';
import { writtenFile } from '../written-file.ts';
import type { NamedFeature, NamedLink } from './types.ts';

const PERCENT = 100;

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
