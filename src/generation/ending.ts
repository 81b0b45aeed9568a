/** Generation, step 2 of 3: where a continuation ends before its limit, at a token that ends texts or at a stop text. */
import type { DecodeStream, Tokenizer } from '../tokenizer/tokenizer.ts';

export type Ending =
  | { readonly kind: 'eos'; readonly token: number }
  /** One of `stopTexts`. */
  | { readonly kind: 'text'; readonly text: string };

export interface EndingOptions {
  readonly endTokens?: Iterable<number> | undefined;
  /** None is empty. */
  readonly stopTexts?: readonly string[] | undefined;
}

/** Follows one continuation. */
export class Endings {
  readonly #endTokens: ReadonlySet<number>;
  readonly #stopTexts: readonly string[];
  /** With special tokens by their names, so that a text can be one (`<end_of_turn>`), and without them, as a text is shown. */
  readonly #texts: readonly GrowingText[];

  /** @param prompt tokens in front of the continuation; a text has to be in the continuation as a whole */
  constructor(
    tokenizer: Tokenizer,
    prompt: readonly number[],
    { endTokens = [], stopTexts = [] }: EndingOptions,
  ) {
    this.#endTokens = new Set(endTokens);
    this.#stopTexts = stopTexts;
    const longest = stopTexts.reduce((most, { length }) => Math.max(most, length), 0);
    const streams = [false, true].map((skipSpecialTokens) => tokenizer.decodeStream({ skipSpecialTokens }));
    this.#texts =
      stopTexts.length === 0 ? [] : streams.map((stream) => new GrowingText(stream, prompt, longest));
  }

  /** Takes the next token: what ends the continuation with it, or null. */
  next(token: number): Ending | null {
    for (const text of this.#texts) text.push(token);
    if (this.#endTokens.has(token)) return { kind: 'eos', token };
    const text = this.#stopTexts.find((wanted) => this.#texts.some((grown) => grown.includes(wanted)));
    return text === undefined ? null : { kind: 'text', text };
  }
}

/** The end of a growing text, as long as the stop texts require. */
class GrowingText {
  readonly #stream: DecodeStream;
  readonly #longest: number;
  #end = '';

  constructor(stream: DecodeStream, prompt: readonly number[], longest: number) {
    for (const id of prompt) stream.push(id);
    this.#stream = stream;
    this.#longest = longest;
  }

  push(token: number): void {
    this.#end = this.#end.slice(-this.#longest) + this.#stream.push(token);
  }

  includes(text: string): boolean {
    return (this.#end + this.#stream.pending()).includes(text);
  }
}
