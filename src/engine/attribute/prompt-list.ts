/** Engine: a list of prompts in a file, one JSON object a line. A line that cannot be used is reported with its number. */
import * as v from 'valibot';
import { BadFileError, TracerError, UsageError } from '../../errors.ts';
import { jsonObject } from '../../formats/json-object.ts';
import { parseJson } from '../../formats/json.ts';
import { readText } from '../../formats/parsed-text.ts';
import { savedInstead } from '../../formats/saved-instead.ts';
import { foldedName, hashedFileName, slugFileName } from '../../graph/slug.ts';

/** Far more than any list that can be processed; a larger file is most likely the wrong one. */
const LARGEST_LIST_BYTES = 2 ** 30;

const LineSchema = jsonObject({ slug: v.string(), prompt: v.string() });

export type PromptLine = { readonly line: number; readonly slug: string | null } & (
  NamedPrompt | { readonly error: TracerError }
);

export interface NamedPrompt {
  readonly slug: string;
  /** Base name of its files, distinct from that of every other line on any file system. */
  readonly fileName: string;
  readonly prompt: string;
}

/** Lines by their file name, in a form in which names are equal that some file system does not distinguish. */
type TakenNames = Map<string, { readonly line: number; readonly slug: string }>;

/**
 * Reads a list; empty lines are skipped. Errors of single lines are part of the list, so that the others can be processed.
 * Throws `NotFoundError` or `BadFileError` for the file, `UsageError` when there is no line at all.
 */
export async function readPromptList(file: string): Promise<PromptLine[]> {
  const text = await readText(file, LARGEST_LIST_BYTES);
  const lines: PromptLine[] = [];
  const taken: TakenNames = new Map();
  for (const [i, content] of text.split('\n').entries()) {
    if (content.trim() !== '') lines.push(readLine(file, i + 1, content, taken));
  }
  // A page or a pointer would have an error for each of its lines.
  const instead =
    lines.every((line) => 'error' in line) && savedInstead(file, text, 'one JSON object a line');
  if (instead) throw instead;
  if (lines.length > 0) return lines;
  throw new UsageError({
    code: 'no_prompts',
    message: `--prompts: ${file} holds no prompt`,
    hint: 'Write one a line: {"slug":"dallas","prompt":"The capital of the state containing Dallas is"}',
  });
}

function readLine(file: string, line: number, content: string, taken: TakenNames): PromptLine {
  let slug: string | null = null;
  try {
    const fields = parseJson(`${file}, line ${line}`, content, LineSchema, line);
    slug = fields.slug;
    return { line, slug, fileName: takeName(file, line, slug, taken), prompt: fields.prompt };
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
