/** What the tests of views share: screens, and a way to look at one line. */
import { screenFor } from '../../src/report/screen.ts';

export const plain = screenFor({}, {});
export const colored = screenFor({ isTTY: true, columns: 100 }, {});

export const subject = { model: 'embedded', transcoders: 'embedded' };

/** The cells of the line that starts with `first`. */
export function lineOf(text: string, first: string): string[] {
  const line = text.split('\n').find((candidate) => candidate.trimStart().startsWith(first));
  if (line === undefined) throw new Error(`no line starts with '${first}' in:\n${text}`);
  return line.trim().split(/ {2,}/);
}
