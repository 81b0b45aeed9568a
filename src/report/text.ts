/** Makes text of unknown origin printable, so that tokens and names of files and tensors cannot contain control sequences of the terminal. */

/** Control, format, surrogate, private, unassigned, line and paragraph separators, and every space but the plain one. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
/** The same without line feeds, for messages of several lines. */
const INVISIBLE_BUT_LINE_FEED = /(?!\n)(?:[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs})/gu;

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Shown for a space in a token: plain spaces would be invisible at the edges of a column. */
const VISIBLE_SPACE = '·';

function escapeCharacter(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0)!;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\u{${code.toString(16)}}`;
}

/** Text on one line: invisible characters other than the space are written as escapes. */
export function printable(text: string): string {
  return text.replace(INVISIBLE, escapeCharacter);
}

/** As `printable`, but line feeds stay: for error messages and hints. */
export function printableLines(text: string): string {
  return text.replace(INVISIBLE_BUT_LINE_FEED, escapeCharacter);
}

/**
 * A token in unambiguous form: spaces as `·`, invisible characters as escapes; a backslash or `·` of the token is escaped
 * too.
 */
export function visibleToken(text: string): string {
  if (text === '') return '""';
  return printable(text.replaceAll('\\', '\\\\').replaceAll(VISIBLE_SPACE, '\\xb7')).replaceAll(
    ' ',
    VISIBLE_SPACE,
  );
}
