/** Viewer: turns anything thrown into a status and `{"error":{code,message,hint}}`. */
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { BadFileError, ExhaustedError, NetworkError, NotFoundError, TracerError } from '../errors.ts';
import type { JobStatus } from './api.ts';

/** A request that is refused with a status of its own, such as 403 or 413. */
export class RefusedError extends TracerError {
  readonly status: ContentfulStatusCode;

  constructor(status: ContentfulStatusCode, details: { code: string; message: string; hint?: string }) {
    super(0, details); // the exit code is not used: the server keeps running
    this.status = status;
  }
}

export type ErrorBody = NonNullable<JobStatus['error']>;

/** The part of an error that is sent to the client. Of an unexpected one only the message: a stack shows internals. */
export function errorBody(error: unknown): ErrorBody {
  if (error instanceof TracerError) {
    const { code, message, hint } = error;
    return { code, message, ...(hint !== undefined && { hint }) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'unexpected', message, hint: 'This is a bug in tracer: please report it.' };
}

export function errorStatus(error: unknown): ContentfulStatusCode {
  if (error instanceof RefusedError) return error.status;
  if (error instanceof NotFoundError) return 404;
  if (error instanceof BadFileError) return 422;
  if (error instanceof ExhaustedError) return 507;
  if (error instanceof NetworkError) return 503;
  return error instanceof TracerError ? 400 : 500;
}

export function errorResponse(error: unknown, context: Context): Response {
  if (error instanceof HTTPException) return error.getResponse();
  return context.json({ error: errorBody(error) }, errorStatus(error));
}
