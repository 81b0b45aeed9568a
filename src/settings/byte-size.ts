/** Sizes as people write them: `8GiB`, `512 MB`, `1.5g`, or plain bytes. */

export const BYTE_SIZE_FORM = 'a size such as 8GiB, 512MiB or 6000000000';

const POWER_OF_PREFIX: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4 };
const SIZE = /^(\d+(?:\.\d+)?)\s*(?:([kmgt]?)(i?)(b?))$/i;

/** Whole bytes above zero, or undefined. `8G` and `8GiB` are binary, `8GB` is decimal, as in most tools. */
export function parseByteSize(raw: unknown): number | undefined {
  if (typeof raw === 'number') return Number.isSafeInteger(raw) && raw > 0 ? raw : undefined;
  const match = typeof raw === 'string' ? SIZE.exec(raw.trim()) : null;
  if (!match) return undefined;
  const [, digits, prefix = '', binary, unit] = match;
  // `5iB` has no prefix that the i could belong to.
  if (prefix === '' && binary !== '') return undefined;
  const step = binary === '' && unit !== '' ? 1000 : 1024;
  const bytes = Math.floor(Number(digits) * step ** POWER_OF_PREFIX[prefix.toLowerCase()]!);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}
