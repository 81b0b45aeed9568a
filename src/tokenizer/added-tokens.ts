/**
 * Tokenizer, step 3: added tokens are cut out of the text before anything is merged. The longest one that starts first
 * wins, as in the `tokenizers` library.
 */
import type { AddedToken } from './rules.ts';

// Rust's \w and \s, which the library uses; JavaScript's own classes know fewer characters (and U+FEFF as a space).
const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const WHITE_SPACE = /\p{White_Space}/u;

/** Text between added tokens, or the id of one. */
export type Span = string | number;

export class AddedTokens {
  readonly #asWritten: Matcher;
  readonly #normalized: Matcher;
  readonly #normalize: (text: string) => string;

  constructor(tokens: readonly AddedToken[], normalize: (text: string) => string) {
    this.#normalize = normalize;
    this.#asWritten = new Matcher(
      tokens.filter((token) => !token.normalized).map((token) => [token.content, token]),
    );
    this.#normalized = new Matcher(
      tokens.filter((token) => token.normalized).map((token) => [normalize(token.content), token]),
    );
  }

  /** Normalized text and ids of added tokens, in order. */
  split(text: string): Span[] {
    return this.#asWritten
      .split(text)
      .flatMap((span) => (typeof span === 'number' ? [span] : this.#normalized.split(this.#normalize(span))));
  }
}

class Matcher {
  readonly #tokens = new Map<string, AddedToken>();
  /** By first character (UTF-16 unit): the lengths that a token may have, longest first. */
  readonly #lengths = new Map<number, readonly number[]>();

  constructor(tokens: readonly (readonly [string, AddedToken])[]) {
    for (const [content, token] of tokens) {
      // After normalization two tokens may be equal. The library does not fix which one counts; here it is the first.
      if (content !== '' && !this.#tokens.has(content)) this.#tokens.set(content, token);
    }
    const lengths = new Map<number, Set<number>>();
    for (const content of this.#tokens.keys()) {
      const first = content.charCodeAt(0);
      const known = lengths.get(first);
      if (known === undefined) lengths.set(first, new Set([content.length]));
      else known.add(content.length);
    }
    for (const [first, known] of lengths) {
      this.#lengths.set(
        first,
        [...known].sort((a, b) => b - a),
      );
    }
  }

  split(text: string): Span[] {
    const spans: Span[] = [];
    let done = 0;
    for (let at = 0; at < text.length;) {
      const match = this.#longestAt(text, at);
      if (match === undefined) {
        at++;
        continue;
      }
      const { token, end } = match;
      const begin = at;
      at = end;
      if (token.single_word && (endsWithWord(text, begin) || startsWithWord(text, end))) continue;
      const start = token.lstrip ? Math.max(done, beforeSpace(text, begin)) : begin;
      const stop = token.rstrip ? afterSpace(text, end) : end;
      // A token of white space may already belong to the white space that the token before it strips.
      if (start >= stop) continue;
      if (done < start) spans.push(text.slice(done, start));
      spans.push(token.id);
      done = stop;
    }
    if (done < text.length) spans.push(text.slice(done));
    return spans;
  }

  #longestAt(text: string, at: number): { readonly token: AddedToken; readonly end: number } | undefined {
    for (const length of this.#lengths.get(text.charCodeAt(at)) ?? []) {
      const token = this.#tokens.get(text.slice(at, at + length));
      if (token !== undefined) return { token, end: at + length };
    }
    return undefined;
  }
}

function endsWithWord(text: string, end: number): boolean {
  // Two units hold the last character, whether it is one or a surrogate pair.
  const last = Array.from(text.slice(Math.max(0, end - 2), end)).at(-1);
  return last !== undefined && WORD.test(last);
}

function startsWithWord(text: string, start: number): boolean {
  const point = text.codePointAt(start);
  return point !== undefined && WORD.test(String.fromCodePoint(point));
}

function beforeSpace(text: string, end: number): number {
  while (end > 0 && WHITE_SPACE.test(text[end - 1]!)) end--;
  return end;
}

function afterSpace(text: string, start: number): number {
  while (start < text.length && WHITE_SPACE.test(text[start]!)) start++;
  return start;
}
