/** Tokenizer, bytes as characters: byte-level vocabularies write each byte of UTF-8 as one printable character (space is `Ġ`). */

const N_BYTES = 256;
/** Printable characters of Latin-1 stand for themselves; the other bytes take the characters from here on, in their order. */
const FIRST_STAND_IN = 256;
const PRINTABLE = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
] as const;

/** Source: `bytes_to_unicode` of GPT-2. */
const CHARS: readonly string[] = byteChars();
const BYTES: ReadonlyMap<string, number> = new Map(CHARS.map((char, byte) => [char, byte]));

const utf8 = new TextEncoder();

function byteChars(): string[] {
  let standIn = FIRST_STAND_IN;
  return Array.from({ length: N_BYTES }, (_, byte) => {
    const printable = PRINTABLE.some(([first, last]) => byte >= first && byte <= last);
    return String.fromCharCode(printable ? byte : standIn++);
  });
}

/** The UTF-8 bytes of a text, one character each. */
export function bytesAsChars(text: string): string {
  let chars = '';
  for (const byte of utf8.encode(text)) chars += CHARS[byte]!;
  return chars;
}

/** The bytes that a piece stands for; a piece with a character that stands for no byte (an added token) is a text as it is. */
export function bytesOfPiece(piece: string): Iterable<number> {
  const bytes: number[] = [];
  for (const char of piece) {
    const byte = BYTES.get(char);
    if (byte === undefined) return utf8.encode(piece);
    bytes.push(byte);
  }
  return bytes;
}
