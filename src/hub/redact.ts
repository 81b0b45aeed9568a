/** Hub: text of a server as it may be shown: in one line, not long, and without the key, which some servers repeat. */

const LONGEST_TEXT = 300;

/** Local servers are given any short word as a key (`x`, `ollama`), which is no secret and may well stand in an answer. */
const SHORTEST_SECRET = 8;

/** The whole text with stars for the key. */
export function keyReplaced(text: string, key: string | undefined): string {
  return key !== undefined && key.length >= SHORTEST_SECRET ? text.replaceAll(key, '***') : text;
}

export function withoutKey(text: string, key: string | undefined): string {
  const plain = key ? text.replaceAll(key, '***') : text;
  const line = plain.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT)}…` : line;
}
