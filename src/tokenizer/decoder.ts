/** Tokenizer, decoding: pieces to text, all at once or one by one. */
import { replaceAll } from './rules.ts';
import type { ReplaceRule, Rules } from './rules.ts';
import type { DecodeOptions, DecodeStream } from './tokenizer.ts';

const BYTE_PIECE = /^<0x([0-9A-Fa-f]{2})>$/;
const REPLACEMENT_CHARACTER = '\ufffd';
// A byte-order mark in the middle of a text is a character like any other.
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Where pieces come from: undefined for ids outside the vocabulary and for those that are left out. */
type PieceOf = (id: number, options: DecodeOptions) => string | undefined;

export class Decoder {
  readonly #replacements: readonly ReplaceRule[];
  readonly #byteFallback: boolean;
  readonly #pieceOf: PieceOf;

  constructor(rules: Rules['decoder'], pieceOf: PieceOf) {
    this.#replacements = rules.filter((step) => step.type === 'Replace');
    this.#byteFallback = rules.some((step) => step.type === 'ByteFallback');
    this.#pieceOf = pieceOf;
  }

  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const stream = this.stream(options);
    let text = '';
    for (const id of ids) text += stream.push(id);
    return text + stream.end();
  }

  stream(options: DecodeOptions = {}): DecodeStream {
    // Whether a run of bytes is text can only be said at its end: with one wrong byte, none of it is.
    let bytes: number[] = [];
    const end = () => {
      const text = textOfBytes(bytes);
      bytes = [];
      return text;
    };
    const push = (id: number) => {
      const piece = this.#pieceOf(id, options);
      if (piece === undefined) return '';
      const text = replaceAll(piece, this.#replacements);
      const byte = this.#byteFallback ? BYTE_PIECE.exec(text)?.[1] : undefined;
      if (byte === undefined) return end() + text;
      bytes.push(Number.parseInt(byte, 16));
      return '';
    };
    return { push, pending: () => textOfBytes(bytes), end };
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
