/**
 * Tokenizer, last step of decoding where `tokenizer_config.json` has `clean_up_tokenization_spaces`: spaces in front of
 * punctuation and English contractions are left out.
 *
 * Source: `PreTrainedTokenizerBase.clean_up_tokenization` of transformers.
 */

/** In this order, each over the whole text. */
const REPLACED = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;

/** After a space, these may begin something that is replaced. */
const AFTER_SPACE = /[.?!,'n ]/;
/** What a replacement may have left between a space and the text that follows (` n` + ` ' ` + `t`). */
const MAY_GO_ON = /['n]/;

export function cleanUp(text: string): string {
  return REPLACED.reduce((result, [from, to]) => result.replaceAll(from, to), text);
}

/**
 * How much of the beginning of a text can be cleaned without knowing what follows: whatever it is, cleaning both parts and
 * joining them is the same as cleaning the whole.
 */
export function settledLength(text: string): number {
  let end = text.lastIndexOf(' ') + 1;
  if (end === 0) return text.length;
  const next = text[end];
  let start = startOfSpaces(text, end);
  if (!goesOn(text, start) && next !== undefined && !AFTER_SPACE.test(next)) return text.length;
  while (start > 0 && goesOn(text, start)) {
    end = text.lastIndexOf(' ', start - 1) + 1;
    start = startOfSpaces(text, end);
  }
  return start;
}

function startOfSpaces(text: string, end: number): number {
  let start = end;
  while (start > 0 && text[start - 1] === ' ') start--;
  return start;
}

function goesOn(text: string, start: number): boolean {
  return start > 0 && MAY_GO_ON.test(text[start - 1]!);
}
