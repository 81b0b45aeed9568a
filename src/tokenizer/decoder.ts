/** Tokenizer, decoding: pieces to text, all at once or one by one. */
import { bytesOfPiece } from './byte-level.ts';
import { cleanUp, settledLength } from './clean-up.ts';
import type { DecoderRules } from './decoder-rules.ts';
import type { Foreign } from './foreign.ts';
import { replaceAll } from './normalizer.ts';
import type { ReplaceRule } from './normalizer.ts';
import type { DecodeOptions, DecodeStream } from './tokenizer.ts';

const BYTE_PIECE = /^<0x([0-9A-Fa-f]{2})>$/;
const REPLACEMENT_CHARACTER = '\ufffd';
// A byte-order mark in the middle of a text is a character like any other.
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lossyUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** UTF-8: bytes from the first of these on continue a character, from the others on they begin one of two, three, four bytes. */
const FIRST_CONTINUATION = 0x80;
const FIRST_LEAD = 0xc0;
const FIRST_OF_THREE = 0xe0;
const FIRST_OF_FOUR = 0xf0;
/** Bytes of an unfinished character. */
const LONGEST_BEGINNING = 3;

/** Where pieces come from: undefined for ids outside the vocabulary and for those that are left out. */
type PieceOf = (id: number, options: DecodeOptions) => string | undefined;

/** Turns what it is given, one by one, into text. */
interface Stage {
  push(item: string): string;
  /** What would come out if `rest` were the last that is given; nothing changes. */
  peek(rest: string): string;
  /** The same, after which nothing is kept. */
  end(rest: string): string;
}

export class Decoder {
  readonly #first: () => Stage;
  readonly #others: readonly (() => Stage)[];
  readonly #pieceOf: PieceOf;

  constructor(
    rules: DecoderRules,
    { cleansUp }: { readonly cleansUp: boolean },
    foreign: Foreign | undefined,
    pieceOf: PieceOf,
  ) {
    const replacements = rules.filter((step) => step.type === 'Replace');
    const byteFallback = rules.some((step) => step.type === 'ByteFallback');
    this.#first = () => aloneStage(rules[0], foreign) ?? new Pieces(replacements, byteFallback);
    this.#others = [
      ...rules.filter((step) => step.type === 'Strip').map((step) => () => new Strip(step)),
      ...(cleansUp ? [() => new CleanUp()] : []),
    ];
    this.#pieceOf = pieceOf;
  }

  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const stream = this.stream(options);
    let text = '';
    for (const id of ids) text += stream.push(id);
    return text + stream.end();
  }

  stream(options: DecodeOptions = {}): DecodeStream {
    const first = this.#first();
    const others = this.#others.map((create) => create());
    return {
      push: (id) => {
        const piece = this.#pieceOf(id, options);
        if (piece === undefined) return '';
        let text = first.push(piece);
        for (const stage of others) text = stage.push(text);
        return text;
      },
      pending: () => others.reduce((text, stage) => stage.peek(text), first.peek('')),
      end: () => others.reduce((text, stage) => stage.end(text), first.end('')),
    };
  }
}

/** The first stage of a decoder that consists of one step. */
function aloneStage(rule: DecoderRules[number] | undefined, foreign: Foreign | undefined): Stage | undefined {
  switch (rule?.type) {
    case 'ByteLevel':
      return new ByteLevel();
    case 'Metaspace': {
      // As in the library: at the beginning none of them is a space.
      const first = rule.prepend_scheme === 'never' ? ' ' : '';
      return new OneByOne((piece, isFirst) =>
        piece.replaceAll(rule.replacement, () => (isFirst ? first : ' ')),
      );
    }
    case 'WordPiece':
      return new OneByOne(foreign!.decoder(rule));
    default:
      return undefined;
  }
}

/** Pieces that are text, each alone, but for the first one. */
class OneByOne implements Stage {
  readonly #text: (piece: string, isFirst: boolean) => string;
  #isFirst = true;

  constructor(text: (piece: string, isFirst: boolean) => string) {
    this.#text = text;
  }

  push(piece: string): string {
    const text = this.#text(piece, this.#isFirst);
    this.#isFirst = false;
    return text;
  }

  peek(rest: string): string {
    return rest;
  }

  end(rest: string): string {
    return rest;
  }
}

/** Pieces that are text, and those that are one byte (byte fallback). */
class Pieces implements Stage {
  readonly #replacements: readonly ReplaceRule[];
  readonly #byteFallback: boolean;
  // Whether a run of bytes is text can only be said at its end: with one wrong byte, none of it is.
  #bytes: number[] = [];

  constructor(replacements: readonly ReplaceRule[], byteFallback: boolean) {
    this.#replacements = replacements;
    this.#byteFallback = byteFallback;
  }

  push(piece: string): string {
    const text = replaceAll(piece, this.#replacements);
    const byte = this.#byteFallback ? BYTE_PIECE.exec(text)?.[1] : undefined;
    if (byte === undefined) return this.#bytes.length === 0 ? text : this.end(text);
    this.#bytes.push(Number.parseInt(byte, 16));
    return '';
  }

  peek(rest: string): string {
    return textOfBytes(this.#bytes) + rest;
  }

  end(rest: string): string {
    const text = this.peek(rest);
    this.#bytes = [];
    return text;
  }
}

/** As in the library: when a run of bytes is not valid UTF-8, each of its bytes becomes a replacement character. */
function textOfBytes(bytes: readonly number[]): string {
  if (bytes.length === 0) return '';
  try {
    return strictUtf8.decode(Uint8Array.from(bytes));
  } catch {
    return REPLACEMENT_CHARACTER.repeat(bytes.length);
  }
}

/** Pieces of a byte-level vocabulary. Bytes that are not UTF-8 become replacement characters, as the standard says. */
class ByteLevel implements Stage {
  #bytes: number[] = [];

  push(piece: string): string {
    for (const byte of bytesOfPiece(piece)) this.#bytes.push(byte);
    return this.#take(this.#bytes.length - unfinished(this.#bytes));
  }

  peek(rest: string): string {
    return lossyUtf8.decode(Uint8Array.from(this.#bytes)) + rest;
  }

  end(rest: string): string {
    return this.#take(this.#bytes.length) + rest;
  }

  #take(n: number): string {
    const text = lossyUtf8.decode(Uint8Array.from(this.#bytes.slice(0, n)));
    this.#bytes = this.#bytes.slice(n);
    return text;
  }
}

/** Bytes at the end that may be the beginning of a character. */
function unfinished(bytes: readonly number[]): number {
  for (let n = 1; n <= Math.min(LONGEST_BEGINNING, bytes.length); n++) {
    const byte = bytes[bytes.length - n]!;
    if (byte >= FIRST_LEAD) return lengthOf(byte) > n ? n : 0;
    if (byte < FIRST_CONTINUATION) return 0;
  }
  return 0;
}

function lengthOf(lead: number): number {
  if (lead < FIRST_OF_THREE) return 2;
  return lead < FIRST_OF_FOUR ? 3 : LONGEST_BEGINNING + 1;
}

/** Takes a character away from the beginning of the text, up to `start` times. */
class Strip implements Stage {
  readonly #content: string;
  #left: number;

  constructor({ content, start }: { readonly content: string; readonly start: number }) {
    this.#content = content;
    this.#left = start;
  }

  push(text: string): string {
    const stripped = this.peek(text);
    const taken = (text.length - stripped.length) / this.#content.length;
    this.#left = stripped === '' ? this.#left - taken : 0;
    return stripped;
  }

  peek(rest: string): string {
    let at = 0;
    for (let i = 0; i < this.#left && rest.startsWith(this.#content, at); i++) at += this.#content.length;
    return rest.slice(at);
  }

  end(rest: string): string {
    return this.push(rest);
  }
}

class CleanUp implements Stage {
  #held = '';

  push(text: string): string {
    const all = this.#held + text;
    const settled = settledLength(all);
    this.#held = all.slice(settled);
    return cleanUp(all.slice(0, settled));
  }

  peek(rest: string): string {
    return cleanUp(this.#held + rest);
  }

  end(rest: string): string {
    const text = this.peek(rest);
    this.#held = '';
    return text;
  }
}
