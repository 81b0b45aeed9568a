/** Suggest, words: of texts, of tokens as they are shown, and tokens that are none. */

/** Without what an apostrophe cuts off: the s of "Oregon's". */
const WORD = /(?<!\p{L}['’])\p{L}[\p{L}\p{N}]*/gu;
/** `<bos>`, `<|im_start|>`: attention rests there, which says nothing about the question. */
const SPECIAL_TOKEN = /^<.+>$/;
const LONGEST_NAME = 60;

export function isSpecialToken(token: string): boolean {
  return SPECIAL_TOKEN.test(token);
}

/** The token itself; where nothing is seen of it, in quotes. */
export function nameOfToken(token: string): string {
  return token.trim() === '' ? JSON.stringify(token) : token.trim();
}

/** The different words between two characters of a text, both ends included only if they are whole. */
export function wordsWithin(text: string, from = 0, to = text.length): Set<string> {
  const found = [...text.matchAll(WORD)].filter(
    ({ index, 0: word }) => index >= from && index + word.length <= to,
  );
  return new Set(found.map(([word]) => word));
}

export function shortened(name: string): string {
  return name.length <= LONGEST_NAME ? name : `${name.slice(0, LONGEST_NAME - 1).trimEnd()}…`;
}
