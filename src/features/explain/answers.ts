/** Features, labels by a language model, step 4: what the answers say. Models add words, marks and hidden reasoning; nothing is guessed. */
import { LONGEST_LABEL } from '../labels.ts';

const REASONING = /<think(?:ing)?>[\s\S]*?(?:<\/think(?:ing)?>|$)/gi;
const LABEL_LINE = /^[^\p{L}\n]*label\b\W*?:\W*?\s*(.*)$/iu;
/** A list of zeros and ones; some models write truth values. */
const LIST = /\[\s*(?:(?:[01]|true|false)\s*,?\s*)*\]/gi;

/** The label of an answer in one line, or null: the last line `Label: …`, or the only line there is. */
export function parseLabel(answer: string): string | null {
  const lines = answer
    .replace(REASONING, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const labelled = lines.map((line) => LABEL_LINE.exec(line)?.[1]).filter((text) => text !== undefined);
  const found = labelled.at(-1) ?? (lines.length === 1 ? lines[0]! : null);
  const text = found === null ? '' : plain(found);
  return text === '' || text.length > LONGEST_LABEL ? null : text;
}

/** The list of an answer, if it has as many entries as were asked for; else null. */
export function parseMarks(answer: string, count: number): boolean[] | null {
  const list = answer.replace(REASONING, '').match(LIST)?.at(-1);
  const marks = list
    ?.match(/[01]|true|false/gi)
    ?.map((mark) => mark === '1' || mark.toLowerCase() === 'true');
  return marks?.length === count ? marks : null;
}

/** Without the quotation marks and stars that models put around an answer, and without its full stop. */
function plain(text: string): string {
  const bare = text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ')
    .replace(/^[\s"'“”*_`]+|[\s"'“”*_`]+$/gu, '')
    .replace(/(?<=[^.])\.$/, '');
  return bare.replace(/["'“”*_`]+$/u, '').trim();
}
