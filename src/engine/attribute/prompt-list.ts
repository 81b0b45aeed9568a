/** Engine: a list of prompts in a file, one a row, with whatever else its columns say. A row that cannot be used is reported with its line. */
import * as v from 'valibot';
import { BadFileError, TracerError, UsageError } from '../../errors.ts';
import { jsonObject } from '../../formats/json-object.ts';
import { checkSchema } from '../../formats/parsed-text.ts';
import { readRows, type NumberedRow } from '../../formats/rows.ts';
import type { JsonValue } from '../../graph/graph.ts';
import { foldedName, hashedFileName, slugFileName } from '../../graph/slug.ts';

/** Far more than any list that can be processed; a larger file is most likely the wrong one. */
const LARGEST_LIST_BYTES = 2 ** 30;

const LineSchema = jsonObject({ slug: v.string(), prompt: v.string() });

export type PromptLine = { readonly line: number; readonly slug: string | null } & (
  NamedPrompt | { readonly error: TracerError }
);

/** The other columns of a prompt: its group, the answer that is expected, what a template was filled with. */
export type PromptMetadata = Readonly<Record<string, JsonValue>>;

export interface NamedPrompt {
  readonly slug: string;
  /** Base name of its files, distinct from that of every other line on any file system. */
  readonly fileName: string;
  readonly prompt: string;
  readonly metadata: PromptMetadata;
}

/** Lines by their file name, in a form in which names are equal that some file system does not distinguish. */
type TakenNames = Map<string, { readonly line: number; readonly slug: string }>;

/**
 * Reads a list: JSON Lines, CSV, TSV or Parquet. Errors of single lines are part of the list, so that the others can be processed.
 * Throws `NotFoundError` or `BadFileError` for the file, `UsageError` when there is no line at all.
 */
export async function readPromptList(file: string): Promise<PromptLine[]> {
  const rows = await readRows(file, LARGEST_LIST_BYTES);
  const taken: TakenNames = new Map();
  const lines = rows.map((row) => namedPrompt(file, row, taken));
  if (lines.length > 0) return lines;
  throw new UsageError({
    code: 'no_prompts',
    message: `--prompts: ${file} holds no prompt`,
    hint: 'Write one a line: {"slug":"dallas","prompt":"The capital of the state containing Dallas is"}',
  });
}

function namedPrompt(file: string, numbered: NumberedRow, taken: TakenNames): PromptLine {
  const { line } = numbered;
  if ('error' in numbered) return { line, slug: null, error: numbered.error };
  let slug: string | null = null;
  try {
    const named = checkSchema(`${file}, line ${line}`, numbered.row, LineSchema);
    const { prompt } = named;
    slug = named.slug;
    // Of the row itself, which has every column.
    const { slug: _slug, prompt: _prompt, ...metadata } = numbered.row;
    return {
      line,
      slug,
      fileName: takeName(file, line, slug, taken),
      prompt,
      metadata: metadata as PromptMetadata,
    };
  } catch (error) {
    if (error instanceof TracerError) return { line, slug, error };
    throw error;
  }
}

/** The first line with a name keeps it: `dallas` after `Dallas` gets a hash, since the two are one file on some disks. */
function takeName(file: string, line: number, slug: string, taken: TakenNames): string {
  const [own, hashed] = [slugFileName(slug), hashedFileName(slug)];
  const owner = taken.get(foldedName(own));
  const name = owner === undefined || owner.slug === slug ? own : hashed;
  const other = taken.get(foldedName(name));
  if (other !== undefined) {
    throw new BadFileError({
      code: 'duplicate_slug',
      message: `${file}, line ${line}: the slug ${JSON.stringify(slug)} names the same files as line ${other.line}`,
      hint: 'Give every prompt a slug of its own.',
    });
  }
  taken.set(foldedName(name), { line, slug });
  return name;
}
