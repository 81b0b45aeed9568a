/** Files, helper of the safetensors header: `JSON.parse` accepts two equal keys and keeps the last, the format forbids them. */

/** The first key that one object of a valid JSON text has twice, or undefined. */
export function findDuplicateKey(json: string): string | undefined {
  const open: Set<string>[] = []; // keys seen, one set for each object or list around the place read
  for (let at = 0; at < json.length; at++) {
    const sign = json[at];
    if (sign === '{' || sign === '[') open.push(new Set());
    else if (sign === '}' || sign === ']') open.pop();
    else if (sign === '"') {
      const end = endOfString(json, at);
      if (isKey(json, end)) {
        const key = JSON.parse(json.slice(at, end)) as string; // two spellings of one key are equal after unescaping
        const keys = open.at(-1)!;
        if (keys.has(key)) return key;
        keys.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Place after the closing quote of the string that opens at `start`; the end of the text when it is not closed. */
export function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return Math.min(at + 1, json.length);
}

function isKey(json: string, end: number): boolean {
  let at = end;
  while (' \t\r\n'.includes(json[at] ?? ':')) at++;
  return json[at] === ':';
}
