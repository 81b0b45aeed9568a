/** Viewer, way out of what went wrong: anything thrown becomes a status and `{"error":{code,message,hint}}`. */
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { BadFileError, ExhaustedError, NetworkError, NotFoundError, TracerError } from '../errors.ts';
import type { JobStatus } from './api.ts';

/** A request that is refused by its form, whatever it asks for. */
export class RefusedError extends TracerError {
  readonly status: ContentfulStatusCode;

  constructor(status: ContentfulStatusCode, details: { code: string; message: string; hint?: string }) {
    super(0, details); // no exit code: the server goes on
    this.status = status;
  }
}

export type ErrorBody = NonNullable<JobStatus['error']>;

/** What may be told of an error. Of an unexpected one only its message: a stack is nobody's business over HTTP. */
export function errorBody(error: unknown): ErrorBody {
  if (error instanceof TracerError) {
    const { code, message, hint } = error;
    return { code, message, ...(hint !== undefined && { hint }) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'unexpected', message, hint: 'This is a mistake in tracer: please report it.' };
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
