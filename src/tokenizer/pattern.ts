/**
 * Tokenizer, splitting expressions: from the syntax of Oniguruma, which the `tokenizers` library uses, to JavaScript's.
 * What published tokenizers use is translated to an expression that matches the same texts; any other construct is refused
 * by its name, since an expression that is read in another way gives other tokens.
 */

/** A construct that is not translated. */
export class PatternError extends Error {}

const SPACE = String.raw`\p{White_Space}`;
/** Outside and inside a class. In Oniguruma `\s` and `\d` are Unicode's White_Space and Nd; JavaScript's know other characters. */
const CLASS_ESCAPES: Readonly<Record<string, string>> = {
  s: SPACE,
  S: String.raw`\P{White_Space}`,
  d: String.raw`\p{Nd}`,
  D: String.raw`\P{Nd}`,
};
const CONTROL_ESCAPES: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', f: '\f' };
const GENERAL_CATEGORY = /^(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfo]?)$/;
const PROPERTY = /^([pP])\{([^}]*)\}/;
const REPEAT = /^(?:[?*+]|\{\d+(?:,\d*)?\})/;
const SYNTAX = /[$()*+./?[\\\]^{|}-]/;

/** Above any nesting in a published tokenizer. */
const DEEPEST_GROUP = 32;

/** Letters outside ASCII that are the same as these when case is ignored. */
const OTHER_CASES: Readonly<Record<string, string>> = { s: 'ſ', k: '\u212a' };
/** Oniguruma matches these also as one character (`ß`, `ﬁ`) when case is ignored; JavaScript does not. */
const FOLDED_TO_ONE = /ss|st|ff|fi|fl/;

/** The source of an expression for the flag `u`. Throws `PatternError`. */
export function translatePattern(pattern: string): string {
  const translated = new Translator(pattern).translate();
  if (matchesNothing(translated)) throw new PatternError('matches the empty text');
  return translated;
}

function matchesNothing(translated: string): boolean {
  try {
    return new RegExp(`^(?:${translated})$`, 'u').test('');
  } catch {
    throw new PatternError('is no expression');
  }
}

class Translator {
  readonly #pattern: string;
  #at = 0;
  #depth = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  translate(): string {
    const translated = this.#alternatives(false);
    if (this.#at < this.#pattern.length) throw new PatternError('has a ")" too many');
    return translated;
  }

  get #rest(): string {
    return this.#pattern.slice(this.#at);
  }

  /** Moves behind `text` if it stands here. */
  #skip(text: string): boolean {
    if (!this.#pattern.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #nextChar(): string {
    const point = this.#pattern.codePointAt(this.#at);
    if (point === undefined) throw new PatternError('ends too early');
    const char = String.fromCodePoint(point);
    this.#at += char.length;
    return char;
  }

  #alternatives(ignoreCase: boolean): string {
    const start = this.#at;
    let translated = '';
    while (this.#at < this.#pattern.length && !this.#rest.startsWith(')')) {
      translated += this.#skip('|') ? '|' : this.#repeated(ignoreCase);
    }
    const folded = ignoreCase && FOLDED_TO_ONE.exec(this.#pattern.slice(start, this.#at).toLowerCase());
    if (folded) throw new PatternError(`has "${folded[0]}" where case is ignored, which is not supported`);
    return translated;
  }

  #repeated(ignoreCase: boolean): string {
    const atom = this.#atom(ignoreCase);
    const repeat = REPEAT.exec(this.#rest)?.[0] ?? '';
    this.#at += repeat.length;
    if (repeat !== '' && /^[?*+{]/.test(this.#rest)) {
      throw new PatternError(
        `has "${repeat}${this.#rest[0]!}": lazy, possessive and double repeats are not supported`,
      );
    }
    return atom + repeat;
  }

  #atom(ignoreCase: boolean): string {
    const { [this.#at]: next } = this.#pattern;
    if (next === '(') return this.#group(ignoreCase);
    if (next === '[') return this.#class(ignoreCase);
    if (next === '\\') {
      const escape = this.#escape();
      if (escape.char === undefined && ignoreCase) throw notWhereCaseIsIgnored('a class of characters');
      return escape.char === undefined ? escape.set : literal(escape.char, ignoreCase);
    }
    if (/[.^$?*+{]/.test(next!)) throw new PatternError(`has "${next!}", which is not supported here`);
    return literal(this.#nextChar(), ignoreCase);
  }

  #group(ignoreCase: boolean): string {
    const opening = /^\((?:\?(?:[:!=]|i:|[^)]))?/.exec(this.#rest)![0];
    this.#at += opening.length;
    if (++this.#depth > DEEPEST_GROUP) throw new PatternError('has groups that are nested too deep');
    const translated = this.#groupOf(opening, ignoreCase);
    this.#depth--;
    if (!this.#skip(')')) throw new PatternError('has a "(" without ")"');
    return `${translated})`;
  }

  #groupOf(opening: string, ignoreCase: boolean): string {
    switch (opening) {
      // Nothing refers to what a group captured.
      case '(':
      case '(?:':
        return `(?:${this.#alternatives(ignoreCase)}`;
      case '(?i:':
        return `(?:${this.#alternatives(true)}`;
      case '(?!':
      case '(?=':
        return opening + this.#alternatives(ignoreCase);
      default:
        throw new PatternError(`has the group "${opening}", which is not supported`);
    }
  }

  #class(ignoreCase: boolean): string {
    this.#skip('[');
    let set = this.#skip('^') ? '[^' : '[';
    if (this.#rest.startsWith(']')) throw new PatternError('has a class that begins with "]"');
    while (!this.#skip(']')) {
      if (/^(?:\[|&&)/.test(this.#rest)) {
        throw new PatternError(`has "${this.#rest[0]!}" in a class: classes in classes are not supported`);
      }
      const first = this.#member();
      if (first.char === undefined) {
        if (ignoreCase) throw notWhereCaseIsIgnored('a class of characters');
        set += first.set;
      } else if (/^-[^\]]/.test(this.#rest)) {
        this.#skip('-');
        const { char: last } = this.#member();
        if (last === undefined) throw new PatternError('has a range that ends in a class of characters');
        if (ignoreCase) throw notWhereCaseIsIgnored('a range');
        set += `${escaped(first.char)}-${escaped(last)}`;
      } else {
        set += ignoreCase
          ? casesOf(first.char)
              .map((one) => escaped(one))
              .join('')
          : escaped(first.char);
      }
    }
    return `${set}]`;
  }

  #member(): Escape {
    return this.#rest.startsWith('\\') ? this.#escape() : { char: this.#nextChar() };
  }

  #escape(): Escape {
    this.#skip('\\');
    const property = PROPERTY.exec(this.#rest);
    if (property !== null) {
      const [written, sign, name] = property;
      this.#at += written.length;
      if (!GENERAL_CATEGORY.test(name!)) throw new PatternError(`has "\\${written}", which is not supported`);
      return { set: `\\${sign!}{${name!}}` };
    }
    const char = this.#nextChar();
    if (char in CLASS_ESCAPES) return { set: CLASS_ESCAPES[char]! };
    if (char in CONTROL_ESCAPES) return { char: CONTROL_ESCAPES[char]! };
    if (/[\p{L}\p{N}_]/u.test(char)) throw new PatternError(`has "\\${char}", which is not supported`);
    return { char };
  }
}

/** One character, or a set of them that may stand in a class. */
type Escape =
  { readonly char: string; readonly set?: undefined } | { readonly char?: undefined; readonly set: string };

function notWhereCaseIsIgnored(what: string): PatternError {
  return new PatternError(`has ${what} where case is ignored, which is not supported`);
}

function literal(char: string, ignoreCase: boolean): string {
  const cases = ignoreCase ? casesOf(char) : [char];
  return cases.length === 1 ? escaped(char, '-') : `[${cases.map((one) => escaped(one)).join('')}]`;
}

function casesOf(char: string): string[] {
  if (/[A-Za-z]/.test(char)) {
    const lower = char.toLowerCase();
    return [lower, char.toUpperCase(), ...(OTHER_CASES[lower] ?? '')];
  }
  if (/\p{L}|\p{M}/u.test(char)) throw notWhereCaseIsIgnored(`the letter "${char}"`);
  return [char];
}

/** For the flag `u`, which refuses a `\` in front of most characters: `-` has one in classes only. */
function escaped(char: string, plain = ''): string {
  return SYNTAX.test(char) && char !== plain ? `\\${char}` : char;
}
