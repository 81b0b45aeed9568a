/**
 * Viewer, access: checks the Host, Origin and Sec-Fetch headers. The host has to be a name of this server, and a page that sends
 * requests has to be this server's own.
 */
import type { HttpBindings } from '@hono/node-server';
import type { MiddlewareHandler } from 'hono';
import { hostName, isOriginOf } from './host-names.ts';
import { RefusedError } from './http-errors.ts';

export type ViewerEnv = { Bindings: HttpBindings };

/** Refuses foreign Host and Origin headers, and requests of other sites for anything but the page itself. */
export function ownAddressOnly(isOwnName: (name: string) => boolean): MiddlewareHandler<ViewerEnv> {
  return async (context, next) => {
    const host = context.req.header('host');
    const name = hostName(host);
    // The absolute form (`GET http://other/ HTTP/1.1`) has a host of its own; it is meant for proxies.
    const isAbsolute = context.env.incoming.url?.startsWith('/') !== true;
    if (host === undefined || name === null || !isOwnName(name) || isAbsolute) {
      throw new RefusedError(403, {
        code: 'foreign_host',
        message: `${JSON.stringify(host ?? '')} is not a name of this server`,
        hint: 'Open the address that `tracer serve` printed. Behind a reverse proxy start it with --allow-host NAME.',
      });
    }
    const origin = context.req.header('origin');
    if (origin !== undefined && !isOriginOf(host, origin)) {
      throw foreignPage(
        `a page of ${JSON.stringify(origin)} may not send requests to ${JSON.stringify(host)}`,
      );
    }
    const site = context.req.header('sec-fetch-site');
    const isFollowedLink =
      context.req.header('sec-fetch-mode') === 'navigate' && context.req.method === 'GET';
    const isOwnPage = site === undefined || site === 'same-origin' || site === 'none';
    if (!isOwnPage && !(isFollowedLink && context.req.path === '/')) {
      throw foreignPage('a page of another site may not send requests to this server');
    }
    return next();
  };
}

function foreignPage(message: string): RefusedError {
  return new RefusedError(403, {
    code: 'foreign_origin',
    message,
    hint: 'Open the address that `tracer serve` printed. A reverse proxy has to pass the Host header on.',
  });
}
