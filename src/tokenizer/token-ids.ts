/** Tokenizer: token ids as a user writes them (`--tokens 2,651`), parsed and checked. */
import { UsageError } from '../errors.ts';

/** Ids separated by commas, spaces or both. Throws `UsageError` for anything that is no id of the vocabulary. */
export function parseTokenIds(text: string, vocabularySize: number): number[] {
  const hint = `Give ids from 0 to ${vocabularySize - 1}, separated by commas: 2,651`;
  const words = text.trim() === '' ? [] : text.trim().split(/\s*,\s*|\s+/);
  if (words.length === 0)
    throw new UsageError({ code: 'empty_prompt', message: 'no token ids are given', hint });
  return words.map((word) => {
    const id = /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (id < vocabularySize) return id;
    throw new UsageError({
      code: 'bad_token_id',
      message: `${JSON.stringify(word)} is no token id of a vocabulary of ${vocabularySize}`,
      hint,
    });
  });
}
