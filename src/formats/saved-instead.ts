/** Files, helper of all readers: a web page or a Git LFS pointer that was saved under the name of the file itself. */
import { BadFileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';

/** Pages may begin with blank lines and comments. */
const LOOKED_AT_BYTES = 4096;

const MARKUP = /^<[!?a-z]/i;
const HTML = /<(?:!doctype\s+html|html|head|body|title|meta|script)\b/i;
const LFS_POINTER = /^version https:\/\/(?:git-lfs|hawser)\b/;

/** The error for a text that is a page or a pointer instead of the file; undefined for any other text. */
export function savedInstead(name: string, start: string, expected: string): BadFileError | undefined {
  const text = start
    .slice(0, LOOKED_AT_BYTES)
    .replace(/^\ufeff/, '')
    .trimStart();
  if (LFS_POINTER.test(text)) {
    return instead(name, 'a Git LFS pointer', expected, 'Fetch the file itself with `git lfs pull`.');
  }
  if (!MARKUP.test(text)) return undefined;
  const found = HTML.test(text) ? 'an HTML page' : 'an XML document';
  return instead(
    name,
    found,
    expected,
    'It may be the sign-in or error page of the server. Fetch the file itself, from the address that downloads it.',
  );
}

/** As `savedInstead`, for the first bytes of a file, in UTF-8 or UTF-16. */
export function bytesInstead(name: string, bytes: Uint8Array, expected: string): BadFileError | undefined {
  const start = bytes.subarray(0, LOOKED_AT_BYTES);
  const text = new TextDecoder(encodingOf(start)).decode(start);
  // A binary file may begin with the same characters by chance, but has others after them.
  return text.includes('\0') ? undefined : savedInstead(name, text, expected);
}

/** What to throw for a source whose reader has thrown `error`: a more exact reason, if the first bytes show one. */
export async function orSavedInstead(error: unknown, source: ByteSource, expected: string): Promise<unknown> {
  if (!(error instanceof BadFileError)) return error;
  const start = new Uint8Array(Math.min(source.size, LOOKED_AT_BYTES));
  await source.read(0, start);
  return bytesInstead(source.name, start, expected) ?? error;
}

function encodingOf([first, second]: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  return 'utf-8';
}

function instead(name: string, found: string, expected: string, hint: string): BadFileError {
  return new BadFileError({
    code: 'unknown_format',
    message: `${name} is ${found}; expected ${expected}`,
    hint,
  });
}
