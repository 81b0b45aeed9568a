/**
 * Viewer, access: the path that a reverse proxy shows the server under, such as `/user/x/proxy/8000/`. Some proxies take it out
 * of the requests that they pass on and some leave it in, so both forms are answered.
 */
import { getPath } from 'hono/utils/url';
import { UsageError } from '../errors.ts';

/** The path of a server that no proxy stands before. */
export const ROOT = '/';
/** Characters that end a path, or the path of a cookie. */
const NOT_IN_A_PATH = /[?#;,\\\s\p{Cc}]/u;

/** With a slash at both ends, in the characters of a URL. Throws `UsageError` for what is no path. */
export function parseBasePath(text: string): string {
  const names = text.replace(/^\/|\/$/g, '').split('/');
  if (names.join('') === '' && names.length === 1) return ROOT;
  if (text.includes('://') || names.some((name) => /^\.{0,2}$/.test(name) || NOT_IN_A_PATH.test(name))) {
    throw new UsageError({
      code: 'bad_value',
      message: `--base-path: expected the path of an address, found ${JSON.stringify(text)}`,
      hint: 'Give the path alone: --base-path /user/x/proxy/8000/.',
    });
  }
  return `/${names.join('/')}/`.replace(/[^\x21-\x7e]+/gu, encodeURIComponent);
}

/** Takes the base path out of the path of a request; a path that does not begin with it is given back as it is. */
export function withoutBase(basePath: string): (path: string) => string {
  const base = basePath.split('/').slice(1, -1).map(decoded);
  return (path) => {
    const names = path.split('/').slice(1);
    const isBelow = names.length > base.length && base.every((name, i) => decoded(names[i]!) === name);
    return isBelow ? `/${names.slice(base.length).join('/')}` : path;
  };
}

/** As `withoutBase`, of a whole request: what the routes of the server are matched with. */
export function pathBelow(basePath: string): (request: Request) => string {
  const strip = withoutBase(basePath);
  return (request) => strip(getPath(request));
}

/** `x%40y` and `x@y` are the same name. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a lone percent sign stands for itself
  }
}
