/**
 * Viewer, access: the path of the server behind a reverse proxy, such as `/user/x/proxy/8000/`. Some proxies remove it from the
 * requests that they forward and some do not, so requests with and without it are answered.
 */
import { getPath } from 'hono/utils/url';
import { UsageError } from '../errors.ts';

/** The path of a server without a proxy. */
export const ROOT = '/';
/** Paths of the server itself: a base path of this name could not be told from them. */
const OWN_NAMES = ['api', 'assets'];
/** Characters that end a path, or the path of a cookie. */
const NOT_IN_A_PATH = /[?#;,\\\s\p{Cc}]/u;

/** The path with a slash at both ends and other characters than ASCII encoded. Throws `UsageError` for anything but a path. */
export function parseBasePath(text: string): string {
  const names = text.replace(/^\/|\/$/g, '').split('/');
  if (names.join('') === '' && names.length === 1) return ROOT;
  if (OWN_NAMES.includes(names[0]!)) {
    throw new UsageError({
      code: 'bad_value',
      message: `--base-path: the first part of ${JSON.stringify(text)} is a path of the server itself`,
      hint: 'Let the proxy use another path, such as /tracer/.',
    });
  }
  if (text.includes('://') || names.some((name) => /^\.{0,2}$/.test(name) || NOT_IN_A_PATH.test(name))) {
    throw new UsageError({
      code: 'bad_value',
      message: `--base-path: expected the path of an address, found ${JSON.stringify(text)}`,
      hint: 'Give the path alone: --base-path /user/x/proxy/8000/.',
    });
  }
  return `/${names.join('/')}/`.replace(/[^\x21-\x7e]+/gu, encodeURIComponent);
}

/** A function that removes the base path from the path of a request, and returns other paths unchanged. */
export function withoutBase(basePath: string): (path: string) => string {
  const base = basePath.split('/').slice(1, -1).map(decoded);
  return (path) => {
    const names = path.split('/').slice(1);
    const isBelow = names.length > base.length && base.every((name, i) => decoded(names[i]!) === name);
    return isBelow ? `/${names.slice(base.length).join('/')}` : path;
  };
}

/** The same for a request; Hono matches its routes with the result. */
export function pathBelow(basePath: string): (request: Request) => string {
  const strip = withoutBase(basePath);
  return (request) => strip(getPath(request));
}

/** Proxies differ in what they encode: `x%40y` and `x@y` are the same name. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a percent sign that encodes nothing
  }
}
