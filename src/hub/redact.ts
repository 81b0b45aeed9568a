/** Hub: text of a server as it may be shown: in one line, not long, and without the key, which some servers repeat. */

const LONGEST_TEXT = 300;

export function withoutKey(text: string, key: string | undefined): string {
  const plain = key ? text.replaceAll(key, '***') : text;
  const line = plain.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT)}…` : line;
}
