/**
 * Graph, names of files: the slug that a user gives, unchanged where every file system accepts it as a name. A name that leaves out
 * characters ends in a hash of the slug, so that two slugs do not share a file.
 */
import { createHash } from 'node:crypto';
import { UsageError } from '../errors.ts';

/** A name has at most 255 bytes on most systems; this leaves room for a number and for endings such as `.annotations.json`. */
const LONGEST_NAME_BYTES = 230;
/** 40 bits: among 10,000 slugs, two have the same hash with a probability of 1 in 20,000. */
const HASH_DIGITS = 10;
/** Most characters of a name made from a prompt. */
const LONGEST_FROM_PROMPT = 40;

/**
 * Letters and digits of every script with their marks (accents, vowel signs, joiners between letters), and `_.-`: no separators of
 * paths, no control characters, and no characters with a special meaning on Windows or in a shell.
 */
const KEPT = /(?:[\p{L}\p{N}][\p{M}\p{Join_Control}]*|[_.-])+/gu;
/** Device names of Windows, with any extension. */
const DEVICE = /^(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])(?=\.|$)/i;
/** Names of other files beside graphs: the list of graphs, annotations, and answers about attention. */
const OTHER_FILE = /^graph-metadata$|\.(?:annotations|attention)$/i;
const ASCII = /^\p{ASCII}*$/u;

/** The file name of a slug, without extension. Throws `UsageError` for a slug that is empty or consists of dots. */
export function slugFileName(slug: string): string {
  if (/^\.*$/.test(slug)) {
    throw new UsageError({
      code: 'bad_slug',
      message: `The slug ${JSON.stringify(slug)} cannot name a file.`,
      hint: 'Give a word of letters, digits, "_", "." and "-".',
    });
  }
  return isFileName(slug) && !isNameOfOtherFile(slug) ? slug : hashedFileName(slug);
}

/** The file name of a slug whose own name is used by another slug, such as `Dallas` for `dallas`. */
export function hashedFileName(slug: string): string {
  return withHash(possibleName(slug), slug);
}

/** Equal for names that are the same on file systems which ignore case or composition (macOS, Windows). */
export function foldedName(name: string): string {
  return name.normalize('NFC').toUpperCase();
}

/** Whether a file can have exactly this name on every system. */
export function isFileName(name: string): boolean {
  return name !== '' && possibleName(name) === name;
}

/** Whether a graph of this name would be confused with the list of graphs or with what is kept beside a graph. */
export function isNameOfOtherFile(name: string): boolean {
  return OTHER_FILE.test(name);
}

/** The slug in a viewer file, which is also the name of that file, as Neuronpedia accepts it. Errors as `slugFileName`. */
export function viewerSlug(slug: string): string {
  return asciiName(slugFileName(slug));
}

/**
 * A name of ASCII letters, digits and `_.-`, as Neuronpedia's schema requires for slugs and scans. Other ASCII characters become hyphens,
 * letters lose their accents, and a hash is added if other characters were lost.
 */
export function asciiName(name: string): string {
  if (ASCII.test(name)) return name.replace(/[^a-zA-Z0-9_.-]/g, '-');
  const letters =
    name
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .match(/[a-zA-Z0-9_.-]+/g) ?? [];
  return withHash(possibleName(letters.join('-').replace(/^-+|-+$/g, '')), name);
}

/** A name for a graph from its prompt, `the-opposite-of-hot-is`. It may be taken, which is checked when the file is written. */
export function slugOfPrompt(prompt: string): string {
  const words = (prompt.toLowerCase().normalize('NFC').match(KEPT) ?? []).join('-').replace(/[-.]+/g, '-');
  const start = [...words.replace(/^-+/, '')].slice(0, LONGEST_FROM_PROMPT).join('').replace(/-+$/, '');
  const name = start === '' ? 'prompt' : possibleName(start);
  return isNameOfOtherFile(name) ? `${name}-1` : name;
}

/** A name for a file that is not hidden, valid on every system; the slug itself if possible. Empty if no character is left. */
function possibleName(slug: string): string {
  const kept = (slug.normalize('NFC').match(KEPT) ?? []).join('-').replace(/^\.+/, '');
  return cut(DEVICE.test(kept) ? `_${kept}` : kept, LONGEST_NAME_BYTES);
}

function withHash(name: string, slug: string): string {
  // UTF-16, since UTF-8 encodes all unpaired surrogates as one character.
  const hash = createHash('sha256').update(Buffer.from(slug, 'utf16le')).digest('hex').slice(0, HASH_DIGITS);
  const start = cut(name, LONGEST_NAME_BYTES - HASH_DIGITS - 1);
  return start === '' ? hash : `${start}-${hash}`;
}

/** The longest start of a text that fits. */
function cut(text: string, bytes: number): string {
  let end = 0;
  let length = 0;
  for (const character of text) {
    length += Buffer.byteLength(character);
    if (length > bytes) break;
    end += character.length;
  }
  return text.slice(0, end);
}
