/**
 * Viewer, access: the token of a server, new at every start. Other accounts of the machine can connect to it too, so whoever
 * writes or runs a job has to bring the token; where the server listens beyond this machine, whoever reads too.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import type { ViewerEnv } from './access.ts';
import { RefusedError } from './http-errors.ts';
import { tokenForm } from './token-form.ts';

const TOKEN_BYTES = 32;
/** `Bearer` is the web's word, `token` Jupyter's. */
const AUTHORIZATION = /^(?:Bearer|token) +(\S+) *$/i;
const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

export interface TokenRules {
  readonly token: string;
  /** Whether requests that change nothing are answered without the token. */
  readonly isReadingOpen: boolean;
  /** What the cookie is sent back for. */
  readonly basePath: string;
}

export function makeToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/**
 * Lets those in who bring the token: in the address, in the cookie that they got for it, or as `Authorization: Bearer`. A wrong
 * one beside a right one does no harm: proxies pass on headers and parameters that are meant for themselves.
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
 * Cookies are kept by the name of a host, for all its ports. Own port and the port that the browser sees, which a tunnel may
 * have changed, keep servers apart that are reached by one name.
 */
function cookieName(context: Context<ViewerEnv>): string {
  const own = String(context.env.incoming.socket.localPort);
  const seen = /:(\d+)$/.exec(context.req.header('host') ?? '')?.[1];
  return seen === undefined || seen === own ? `tracer_${own}` : `tracer_${own}_${seen}`;
}

/** Of equal length for texts of any length, so that comparing takes equal time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
