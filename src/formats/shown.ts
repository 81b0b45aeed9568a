/** Files, helper of all parsers: values from an untrusted file, made safe for a line of an error message. */

const LONGEST_TEXT = 120;
const MOST_ELEMENTS = 8;

/** Short and without control characters, whatever the file held; lists and objects inside a list are not opened. */
export function shown(value: unknown): string {
  if (!Array.isArray(value)) return shownElement(value);
  const elements = value.slice(0, MOST_ELEMENTS).map(shownElement);
  return `[${elements.join(', ')}${value.length > MOST_ELEMENTS ? ', …' : ''}]`;
}

function shownElement(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(shorten(value));
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return JSON.stringify(value) ?? 'nothing';
}

/** A name from a file as it is, but for control characters and excess length. */
export function shownName(name: string): string {
  return shorten(name).replace(/\p{Cc}/gu, '?');
}

function shorten(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}
