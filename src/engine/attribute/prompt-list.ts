/** Engine: a list of prompts in a file, one JSON object a line. A line that cannot be used is told with its number. */
import * as v from 'valibot';
import { BadFileError, TracerError, UsageError } from '../../errors.ts';
import { parseJson } from '../../formats/json.ts';
import { readText } from '../../formats/parsed-text.ts';
import { slugFileName } from '../../graph/neuronpedia.ts';

/** Far above any list that could be worked through; more means that the wrong file is named. */
const LARGEST_LIST_BYTES = 2 ** 30;

const LineSchema = v.object({ slug: v.string(), prompt: v.string() });

export type PromptLine = { readonly line: number; readonly slug: string | null } & (
  { readonly slug: string; readonly prompt: string } | { readonly error: TracerError }
);

/**
 * Reads a list; empty lines are passed over. Faults of single lines are in the list, so that the others can go on.
 * Throws `NotFoundError` or `BadFileError` for the file, `UsageError` when there is no line at all.
 */
export async function readPromptList(file: string): Promise<PromptLine[]> {
  const text = await readText(file, LARGEST_LIST_BYTES);
  const lines: PromptLine[] = [];
  const takenBy = new Map<string, number>();
  for (const [i, content] of text.split('\n').entries()) {
    if (content.trim() !== '') lines.push(readLine(file, i + 1, content, takenBy));
  }
  if (lines.length > 0) return lines;
  throw new UsageError({
    code: 'no_prompts',
    message: `--prompts: ${file} holds no prompt`,
    hint: 'Write one a line: {"slug":"dallas","prompt":"The capital of the state containing Dallas is"}',
  });
}

function readLine(file: string, line: number, content: string, takenBy: Map<string, number>): PromptLine {
  let slug: string | null = null;
  try {
    const fields = parseJson(`${file}, line ${line}`, content, LineSchema);
    slug = fields.slug;
    const name = slugFileName(slug);
    const other = takenBy.get(name);
    if (other !== undefined) {
      throw new BadFileError({
        code: 'duplicate_slug',
        message: `${file}, line ${line}: the slug ${JSON.stringify(slug)} names the same files as line ${other}`,
        hint: 'Give every prompt a slug of its own; other characters than letters, digits, "_", "." and "-" count as "-".',
      });
    }
    takenBy.set(name, line);
    return { line, slug, prompt: fields.prompt };
  } catch (error) {
    if (error instanceof TracerError) return { line, slug, error };
    throw error;
  }
}
