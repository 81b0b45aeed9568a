/**
 * Viewer, the door: who may ask. The address that was asked for has to be one of this server's (a foreign name that was made
 * to point here is refused), the asking page has to be this server's own, and where the server listens beyond this machine a
 * token is needed.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { hostname, networkInterfaces } from 'node:os';
import type { HttpBindings } from '@hono/node-server';
import type { MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { RefusedError } from './http-errors.ts';

export type ViewerEnv = { Bindings: HttpBindings };

const TOKEN_BYTES = 32;
const HTTP_PORT = 80;
const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]'];
/** Listening on these is listening on every address of the machine. */
const EVERY_ADDRESS = ['0.0.0.0', '::', '[::]'];

/** An IPv6 address as it stands in a URL. */
export function inAddress(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

/** A name that a browser can be sent to: `0.0.0.0` is none. */
export function reachableName(host: string): string {
  if (!EVERY_ADDRESS.includes(host)) return host;
  const outer = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  return outer?.address ?? LOOPBACK_NAMES[0]!;
}

/** What may stand in the Host header of a server that listens on `host`. Ports are those of the socket that was reached. */
export function ownNames(host: string | undefined): ReadonlySet<string> {
  if (host === undefined) return new Set(LOOPBACK_NAMES);
  if (!EVERY_ADDRESS.includes(host)) {
    const name = inAddress(host).toLowerCase();
    return new Set(LOOPBACK_NAMES.includes(name) ? LOOPBACK_NAMES : [name]);
  }
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Set([
    ...LOOPBACK_NAMES,
    hostname().toLowerCase(),
    ...addresses.map(({ address }) => inAddress(address).toLowerCase()),
  ]);
}

export function makeToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** Refuses foreign Host and Origin headers, and pages of other sites that ask for more than the document itself. */
export function ownAddressOnly(names: ReadonlySet<string>): MiddlewareHandler<ViewerEnv> {
  return async (context, next) => {
    const { incoming } = context.env;
    const port = incoming.socket.localPort;
    const host = context.req.header('host')?.toLowerCase();
    const isOwn = [...names].some(
      (name) => host === `${name}:${port}` || (port === HTTP_PORT && host === name),
    );
    // An absolute form (`GET http://other/ HTTP/1.1`) carries a host of its own; only proxies are asked in that form.
    if (!isOwn || host === undefined || incoming.url?.startsWith('/') !== true) {
      throw refusedAddress('foreign_host', `this server is not ${JSON.stringify(host ?? 'nameless')}`);
    }
    const origin = context.req.header('origin');
    if (origin !== undefined && origin.toLowerCase() !== `http://${host}`) {
      throw refusedAddress('foreign_origin', `a page of ${JSON.stringify(origin)} may not ask this server`);
    }
    const site = context.req.header('sec-fetch-site');
    const isFollowedLink =
      context.req.header('sec-fetch-mode') === 'navigate' && context.req.method === 'GET';
    const isOwnPage = site === undefined || site === 'same-origin' || site === 'none';
    if (!isOwnPage && !(isFollowedLink && context.req.path === '/')) {
      throw refusedAddress('foreign_origin', 'a page of another site may not ask this server');
    }
    return next();
  };
}

function refusedAddress(code: string, message: string): RefusedError {
  return new RefusedError(403, { code, message, hint: 'Open the address that `tracer serve` printed.' });
}

/**
 * Lets those in who bring the token: in the address, in the cookie that they got for it, or as `Authorization: Bearer`.
 */
export function tokenOnly(token: string): MiddlewareHandler<ViewerEnv> {
  const expected = digest(token);
  const isToken = (text: string | undefined): boolean =>
    text !== undefined && timingSafeEqual(digest(text), expected);
  return async (context, next) => {
    // Cookies do not tell ports apart, and several servers may run.
    const cookie = `tracer_${context.env.incoming.socket.localPort}`;
    const fromAddress = context.req.query('token');
    const bearer = /^Bearer (.+)$/.exec(context.req.header('authorization') ?? '')?.[1];
    if (isToken(fromAddress)) {
      setCookie(context, cookie, token, { httpOnly: true, sameSite: 'Strict', path: '/' });
    } else if (!isToken(getCookie(context, cookie)) && !isToken(bearer)) {
      throw new RefusedError(401, {
        code: 'token_needed',
        message: 'this server needs its token in the address',
        hint: 'Open the whole address that `tracer serve` printed, with `?token=…`.',
      });
    }
    return next();
  };
}

/** Of equal length for texts of any length, so that comparing takes equal time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
