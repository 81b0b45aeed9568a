/** Viewer, what every request goes through: security headers, the doors, the size of its body; and the page itself. */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { secureHeaders } from 'hono/secure-headers';
import { NotFoundError } from '../errors.ts';
import { ownAddressOnly, tokenOnly, type ViewerEnv } from './access.ts';
import { LARGEST_BODY_BYTES } from './bodies.ts';
import { errorResponse, RefusedError } from './http-errors.ts';
import type { PageFiles } from './page-files.ts';

/**
 * @param names what the server may be called in a request
 * @param token what a request has to bring; null where only this machine can connect
 */
export function viewerApp(
  names: ReadonlySet<string>,
  token: string | null,
  page: PageFiles,
): Hono<ViewerEnv> {
  const app = new Hono<ViewerEnv>();
  app.onError(errorResponse);
  app.notFound((context) => errorResponse(unknownAddress(context.req.path), context));
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:', 'blob:'],
        connectSrc: ["'self'"],
        fontSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
      xFrameOptions: 'DENY',
      strictTransportSecurity: false, // there is no certificate for an address of this machine
    }),
  );
  app.use(ownAddressOnly(names));
  if (token !== null) app.use(tokenOnly(token));
  app.use('/api/*', async (context, next) => {
    context.header('cache-control', 'no-store');
    await next();
  });
  app.use(
    bodyLimit({
      maxSize: LARGEST_BODY_BYTES,
      onError: () => {
        throw new RefusedError(413, {
          code: 'body_too_large',
          message: `the body has more than ${LARGEST_BODY_BYTES} bytes`,
        });
      },
    }),
  );
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (context, methods) => {
        context.header('allow', methods.join(', '));
        const message = `${context.req.method} is not answered here`;
        return errorResponse(new RefusedError(405, { code: 'method_not_allowed', message }), context);
      },
    }),
  );
  for (const [address, { body, contentType, etag }] of page) {
    app.get(address, (context) => {
      context.header('etag', etag);
      context.header('cache-control', 'no-cache'); // asked for again each time, sent only when it has changed
      if (context.req.header('if-none-match') === etag) return context.body(null, 304);
      context.header('content-type', contentType);
      return context.body(body);
    });
  }
  return app;
}

function unknownAddress(address: string): NotFoundError {
  return address === '/'
    ? new NotFoundError({
        code: 'page_missing',
        message: 'the page of the viewer is not built',
        hint: 'Run `npm run build`.',
      })
    : new NotFoundError({ code: 'unknown_address', message: `there is nothing at ${address}` });
}
