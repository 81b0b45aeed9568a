/** Engine: an error as data, which one process sends to another. */
import { EXIT, TracerError } from '../errors.ts';

export interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
  readonly exit_code: number;
}

export function failureOf(error: unknown): Failure {
  if (error instanceof TracerError) {
    const { code, message, hint, exitCode } = error;
    return { error: { code, message, ...(hint !== undefined && { hint }) }, exit_code: exitCode };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { error: { code: 'unexpected', message }, exit_code: EXIT.unexpected };
}
