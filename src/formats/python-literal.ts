/** Files, helper of npy headers: a literal of Python, read by its grammar and never evaluated. */

/** Texts, numbers, truth values and None; tuples and lists are arrays, dictionaries are lists of pairs. */
export type PythonLiteral =
  string | number | boolean | null | readonly PythonLiteral[] | { readonly pairs: readonly Pair[] };
type Pair = readonly [PythonLiteral, PythonLiteral];

/** Types of NumPy nest a few levels deep; more would only use up the stack. */
const DEEPEST_NESTING = 50;

const SPACE = /\s*/y;
const TEXT = /'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/y;
const INTEGER = /-?\d+/y;
const WORD = /(?:True|False|None)\b/y;
const WORDS: Readonly<Record<string, boolean | null>> = { True: true, False: false, None: null };
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** The value of a whole text, or undefined when it is no literal. Escapes in texts are left as they are. */
export function parsePythonLiteral(text: string): PythonLiteral | undefined {
  const reader = new Reader(text);
  const value = reader.value(0);
  return value !== undefined && reader.isAtEnd() ? value : undefined;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  isAtEnd(): boolean {
    this.#take(SPACE);
    return this.#at === this.#text.length;
  }

  value(depth: number): PythonLiteral | undefined {
    this.#take(SPACE);
    const sign = this.#text[this.#at] ?? '';
    if (Object.hasOwn(CLOSING, sign))
      return depth < DEEPEST_NESTING ? this.#collection(sign, depth + 1) : undefined;
    const text = this.#take(TEXT);
    if (text) return text[1] ?? text[2];
    const word = this.#take(WORD);
    if (word) return WORDS[word[0]];
    const integer = this.#take(INTEGER);
    return integer ? Number(integer[0]) : undefined;
  }

  #collection(opening: string, depth: number): PythonLiteral | undefined {
    const closing = CLOSING[opening]!;
    const items: PythonLiteral[] = [];
    const pairs: Pair[] = [];
    let hasComma = false;
    this.#at++;
    while (!this.#takeSign(closing)) {
      if (items.length + pairs.length > 0 && !hasComma) return undefined;
      const item = this.value(depth);
      if (item === undefined) return undefined;
      if (opening === '{') {
        const value = this.#takeSign(':') ? this.value(depth) : undefined;
        if (value === undefined) return undefined;
        pairs.push([item, value]);
      } else items.push(item);
      hasComma = this.#takeSign(',');
    }
    if (opening === '{') return { pairs };
    // Brackets around one value without a comma only group it.
    return opening === '(' && items.length === 1 && !hasComma ? items[0] : items;
  }

  #takeSign(sign: string): boolean {
    this.#take(SPACE);
    if (this.#text[this.#at] !== sign) return false;
    this.#at++;
    return true;
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match) this.#at = pattern.lastIndex;
    return match;
  }
}
