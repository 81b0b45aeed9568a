/**
 * Viewer, access: the token of the server, new at every start. Other accounts of the machine can connect too, so requests that
 * write or run jobs need the token; if the server listens beyond this machine, all requests do.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import type { ViewerEnv } from './access.ts';
import { RefusedError } from './http-errors.ts';
import { tokenForm } from './token-form.ts';

const TOKEN_BYTES = 32;
/** `Bearer` is the standard scheme (RFC 6750), `token` that of Jupyter. */
const AUTHORIZATION = /^(?:Bearer|token) +(\S+) *$/i;
const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

export interface TokenRules {
  readonly token: string;
  /** Whether requests that change nothing are answered without the token. */
  readonly isReadingOpen: boolean;
  /** Path of the cookie. */
  readonly basePath: string;
}

export function makeToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/**
 * Accepts the token in the address, which then sets the cookie, in that cookie, or as `Authorization: Bearer`. One right token
 * is enough: proxies also forward headers and parameters that are meant for themselves.
 */
export function tokenGuard({ token, isReadingOpen, basePath }: TokenRules): MiddlewareHandler<ViewerEnv> {
  const expected = digest(token);
  const isToken = (text: string | undefined): boolean =>
    text !== undefined && timingSafeEqual(digest(text), expected);
  return async (context, next) => {
    const cookie = cookieName(context);
    const { method, path } = context.req;
    const isReading = READING_METHODS.has(method);
    const authorization = AUTHORIZATION.exec(context.req.header('authorization') ?? '')?.[1];
    if (isToken(context.req.query('token'))) {
      setCookie(context, cookie, token, { httpOnly: true, sameSite: 'Strict', path: basePath });
    } else if (
      !isToken(getCookie(context, cookie)) &&
      !isToken(authorization) &&
      !(isReading && isReadingOpen)
    ) {
      const isPage = isReading && path === '/' && context.req.header('accept')?.includes('text/html');
      if (isPage) return context.html(tokenForm(new URL(context.req.url).searchParams), 401);
      throw new RefusedError(401, {
        code: 'token_needed',
        message: `${isReading ? 'reading needs' : 'writing and running jobs need'} the token of this server`,
        hint: 'Open the whole address that `tracer serve` printed, with `?token=…`; a program sends `Authorization: Bearer TOKEN`.',
      });
    }
    return next();
  };
}

/**
 * Browsers do not separate cookies by port. The name has the own port and the port in the browser, which differ behind a tunnel,
 * so that servers with one host name do not overwrite each other's cookies.
 */
function cookieName(context: Context<ViewerEnv>): string {
  const own = String(context.env.incoming.socket.localPort);
  const seen = /:(\d+)$/.exec(context.req.header('host') ?? '')?.[1];
  return seen === undefined || seen === own ? `tracer_${own}` : `tracer_${own}_${seen}`;
}

/** Digests have equal lengths, so that comparing them takes constant time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
