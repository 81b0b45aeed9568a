/** Viewer: the middleware of every request (security headers, access, size of the body), and the routes of the page. */
import { Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { secureHeaders } from 'hono/secure-headers';
import { NotFoundError } from '../errors.ts';
import { ownAddressOnly, type ViewerEnv } from './access.ts';
import { pathBelow, withoutBase } from './base-path.ts';
import { LARGEST_BODY_BYTES } from './request-bodies.ts';
import { errorResponse, RefusedError } from './http-errors.ts';
import type { PageFiles } from './page-files.ts';
import { tokenGuard } from './token.ts';

export interface AppOptions {
  readonly isOwnName: (name: string) => boolean;
  /** Null: no token is needed. */
  readonly token: string | null;
  /** Whether requests that change nothing are answered without the token. */
  readonly isReadingOpen: boolean;
  readonly basePath: string;
}

export function viewerApp(
  { isOwnName, token, isReadingOpen, basePath }: AppOptions,
  page: PageFiles,
): Hono<ViewerEnv> {
  const app = new Hono<ViewerEnv>({ getPath: pathBelow(basePath) });
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
        formAction: ["'self'"], // for the form that asks for the token
        frameAncestors: ["'none'"],
      },
      xFrameOptions: 'DENY',
      strictTransportSecurity: false, // the server itself has no TLS
    }),
  );
  app.use(ownAddressOnly(isOwnName));
  app.use(slashAfterBase(basePath));
  if (token !== null) app.use(tokenGuard({ token, isReadingOpen, basePath }));
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
        const message = `the method ${context.req.method} is not supported here`;
        return errorResponse(new RefusedError(405, { code: 'method_not_allowed', message }), context);
      },
    }),
  );
  for (const [address, { body, contentType, etag }] of page) {
    app.get(address, (context) => {
      context.header('etag', etag);
      context.header('cache-control', 'no-cache'); // revalidated each time by its etag
      if (context.req.header('if-none-match') === etag) return context.body(null, 304);
      context.header('content-type', contentType);
      return context.body(body);
    });
  }
  return app;
}

/** Without the slash at its end, the relative addresses of the page would be resolved one level too high. */
function slashAfterBase(basePath: string): MiddlewareHandler<ViewerEnv> {
  const strip = withoutBase(basePath);
  return async (context, next) => {
    const { method, path, url } = context.req;
    if (method === 'GET' && path !== '/' && strip(`${path}/`) === '/') {
      return context.redirect(basePath + new URL(url).search);
    }
    return next();
  };
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
