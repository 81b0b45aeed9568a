/** Parsers of flag values. Their errors name the flag, what was expected and what was found. */
import type { Device } from '../backend/backend.ts';
import { UsageError } from '../errors.ts';
import { SETTING_RULES } from '../settings/rules.ts';

const LARGEST_TOKEN_ID = 2 ** 31 - 1;

function badValue(flag: string, expected: string, found: string, hint: string): UsageError {
  return new UsageError({
    code: 'bad_value',
    message: `${flag}: expected ${expected}, found '${found}'`,
    hint,
  });
}

/** A parser of whole numbers from `least` on, or to `most`, for commander. */
export function wholeNumber(flag: string, least: number, most = Infinity): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text.trim()) ? Number(text) : NaN;
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw badValue(
        flag,
        `a whole number from ${least} ${most === Infinity ? 'on' : `to ${most}`}`,
        text,
        `Write it as ${flag} ${Math.max(least, 5)}.`,
      );
    }
    return value;
  };
}

/** A parser of probabilities, for commander. */
export function probability(flag: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (!(value >= 0 && value <= 1)) {
      throw badValue(flag, 'a probability from 0 to 1', text, `Write it as ${flag} 0.5.`);
    }
    return value;
  };
}

/** A parser of numbers from 0 on, for commander. */
export function nonNegative(flag: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (!(value >= 0 && Number.isFinite(value))) {
      throw badValue(flag, 'a number from 0 on', text, `Write it as ${flag} 0.7.`);
    }
    return value;
  };
}

/** A parser of token ids, `2,651,18`, for commander. */
export function tokenIds(flag: string): (text: string) => number[] {
  return (text) => {
    const parts = text.split(',').map((part) => part.trim());
    const ids = parts.map((part) => (/^\d+$/.test(part) ? Number(part) : NaN));
    if (ids.some((id) => !(id <= LARGEST_TOKEN_ID))) {
      throw badValue(flag, 'token ids separated by commas', text, `Write it as ${flag} 2,651,18.`);
    }
    return ids;
  };
}

/**
 * A parser of names of files and folders that are written, for commander. An empty one is a variable that is not set; '-' is standard
 * output elsewhere, and would be a file of that name here.
 */
export function outputName(flag: string): (text: string) => string {
  return (text) => {
    if (text !== '' && text !== '-') return text;
    const hint =
      text === ''
        ? 'Is a variable in the line not set?'
        : "It is not written to standard output; --json prints the result there. ./- is a file called '-'.";
    throw badValue(flag, 'the name of a file or folder', text, hint);
  };
}

/** For flags that may be given several times. */
export function collect(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, text];
}

/** A parser of whole numbers, negative ones included, for commander. */
export function signedNumber(flag: string): (text: string) => number {
  return (text) => {
    const value = /^-?\d+$/.test(text.trim()) ? Number(text) : NaN;
    if (Number.isSafeInteger(value)) return value;
    throw badValue(flag, 'a whole number', text, `Write it as ${flag} -1.`);
  };
}

const LAYER_RANGE = /^(\d+):(\d+)$/;

/** A parser of ranges of layers, `0:26`, the end excluded, for commander. */
export function layerRange(flag: string): (text: string) => { from: number; to: number } {
  return (text) => {
    const parts = LAYER_RANGE.exec(text.trim());
    if (parts) return { from: Number(parts[1]), to: Number(parts[2]) };
    throw badValue(flag, 'FROM:TO', text, `Write it as ${flag} 0:26; the end is excluded.`);
  };
}

/** A parser of any numbers, for commander. */
export function anyNumber(flag: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (Number.isFinite(value)) return value;
    throw badValue(flag, 'a number', text, `Write it as ${flag} 0.9.`);
  };
}

const LAYER_PART = /^(\d+)(?:([-:])(\d+))?$/;
/** Beyond any model: a longer list would only take memory. */
const MOST_LAYERS = 10_000;

/** A parser of lists of layers, for commander: `0-5,9` with both ends, `0:6` with the end excluded, `none`. */
export function layerList(flag: string): (text: string) => number[] {
  return (text) => {
    if (text.trim() === 'none') return [];
    const bad = (): UsageError =>
      badValue(flag, 'layers such as 0-5,9', text, `Write it as ${flag} 0-5,9, or ${flag} none.`);
    return text.split(',').flatMap((part) => {
      const [, first, sign, last] = LAYER_PART.exec(part.trim()) ?? [];
      if (first === undefined) throw bad();
      const from = Number(first);
      const to = last === undefined ? from + 1 : Number(last) + (sign === '-' ? 1 : 0);
      if (!(from < to && to <= MOST_LAYERS)) throw bad();
      return Array.from({ length: to - from }, (_, i) => from + i);
    });
  };
}

/** `cuda:0,cuda:1`: one name for each process, `cpu,cpu` too. */
export function devices(flag: string): (text: string) => Device[] {
  return (text) =>
    text.split(',').map((name) => {
      const device = SETTING_RULES.device.parse(name.trim());
      if (device !== undefined && device !== 'auto') return device;
      throw badValue(
        flag,
        'names of devices with commas between them',
        text,
        `Write it as ${flag} cuda:0,cuda:1.`,
      );
    });
}

const HEAD = /^(\d+)\.(\d+)$/;

/** A parser of one head, `5.3`, for commander: of two, the first would be forgotten without a word. */
export function headName(
  flag: string,
): (text: string, previous?: unknown) => { layer: number; head: number } {
  return (text, previous) => {
    if (previous !== undefined) {
      throw new UsageError({
        code: 'repeated_option',
        message: `${flag} names one head, and is given twice`,
        hint: 'Run the command once for each head.',
      });
    }
    const parts = HEAD.exec(text.trim());
    if (parts) return { layer: Number(parts[1]), head: Number(parts[2]) };
    throw badValue(flag, 'LAYER.HEAD', text, `Write it as ${flag} 5.3.`);
  };
}

/** A parser of what a key is compared with, for commander: `mean`, `pattern`, or a key's position. */
export function contrast(flag: string): (text: string) => 'mean' | 'pattern' | number {
  return (text) => {
    const name = text.trim();
    if (name === 'mean' || name === 'pattern') return name;
    if (/^-?\d+$/.test(name) && Number.isSafeInteger(Number(name))) return Number(name);
    throw badValue(
      flag,
      'mean, pattern or the position of a key',
      text,
      `Write it as ${flag} mean, or ${flag} 2.`,
    );
  };
}
