/** Picture, text: makes text of prompts and labels visible and short. It is always drawn as text, never as markup. */

/** Control, format, surrogate, private and unassigned characters, line separators, and every space but the plain one. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
const NAMES: Readonly<Record<string, string>> = { '\n': '⏎', '\r': '␍', '\t': '⇥' };
/** Wide characters (Chinese, Japanese, Korean, emoji) count as two. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;

/** A token on the axis: spaces as `·`, invisible characters as a sign or their code. */
export function shownToken(token: string, mostLetters: number): string {
  const text = token === '' ? '""' : token.replace(INVISIBLE, signOf).replaceAll(' ', '·');
  return cut(text, mostLetters);
}

/** A label on one line. */
export function shownLabel(label: string, mostLetters: number): string {
  return cut(label.replace(/\s+/g, ' ').replace(INVISIBLE, signOf), mostLetters);
}

/** A text of several lines, with its spaces: what is invisible otherwise is shown. */
export function shownText(text: string): string {
  return text.replace(INVISIBLE, (character) =>
    character === '\n' || character === '\t' ? character : signOf(character),
  );
}

/** A label on at most so many lines, broken at spaces where there are any. */
export function shownLines(label: string, lettersPerLine: number, mostLines: number): string[] {
  const lines: string[] = [];
  let rest = shownLabel(label, lettersPerLine * mostLines * 2).trim();
  while (rest !== '') {
    if (lines.length === mostLines - 1 || lettersOf(rest) <= lettersPerLine) {
      lines.push(cut(rest, lettersPerLine));
      break;
    }
    const head = cut(rest, lettersPerLine + 1).slice(0, -1); // without the ellipsis
    const space = head.lastIndexOf(' ');
    const line = space > 0 ? head.slice(0, space) : head;
    lines.push(line);
    rest = rest.slice(line.length).trimStart();
  }
  return lines;
}

/** Width of a text in letters. */
export function lettersOf(text: string): number {
  let letters = 0;
  for (const character of text) letters += WIDE.test(character) ? 2 : 1;
  return letters;
}

function cut(text: string, mostLetters: number): string {
  if (lettersOf(text) <= mostLetters) return text;
  let letters = 1; // the ellipsis
  let kept = '';
  for (const character of text) {
    letters += WIDE.test(character) ? 2 : 1;
    if (letters > mostLetters) break;
    kept += character;
  }
  return `${kept}…`;
}

function signOf(character: string): string {
  return NAMES[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
