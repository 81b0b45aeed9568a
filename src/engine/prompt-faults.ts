/** Engine: which errors of a list of prompts concern one of them, so that the others can go on. */
import { TracerError } from '../errors.ts';

/** What a longer, shorter or other prompt does not have. */
const OF_ONE_PROMPT = new Set([
  'empty_prompt',
  'prompt_too_long',
  'position_out_of_range',
  'key_not_visible',
]);

export function isOfOnePrompt(error: unknown): boolean {
  return error instanceof TracerError && OF_ONE_PROMPT.has(error.code);
}
