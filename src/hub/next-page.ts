/**
 * Hub: the address of the next page of a listing. Mirrors pass on the `Link` header of the Hub with the Hub's own address in
 * it. So only path and query of a link are used, and the page is requested from the endpoint that gave the first one.
 */

const API = /\/api\/(?:models|datasets)\//;
/** One link of a header (RFC 8288): an address in angle brackets and its parameters. */
const LINK = /<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^",;\s]+))*)/g;
const IS_NEXT = /;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=[\s;]|$))/i;

/** The address of the next page, on the endpoint; undefined for the last one. */
export function nextPageOf(header: string | null, requested: string, endpoint: string): string | undefined {
  for (const [, target = '', parameters = ''] of (header ?? '').matchAll(LINK)) {
    if (!IS_NEXT.test(parameters) || !URL.canParse(target, requested)) continue;
    const { pathname, search } = new URL(target, requested);
    const base = new URL(endpoint).pathname.replace(/\/$/, '');
    const path = pathname.startsWith(`${base}/`) ? pathname.slice(base.length) : pathname;
    // The Hub behind a mirror may have another base path: only the part from the API on is the same for both.
    const from = path.search(API);
    return `${endpoint}${from < 0 ? path : path.slice(from)}${search}`;
  }
  return undefined;
}
