/** The errors that `tracer` raises on purpose: what was wrong, where, the next step, and the exit code. */

/** Exit codes are part of the interface for scripts; `docs/exit-codes.md` explains them to users. */
export const EXIT = {
  done: 0,
  unexpected: 1,
  usage: 2,
  notFound: 3,
  badFile: 4,
  exhausted: 5,
  expectation: 6,
  network: 69,
  interrupted: 130,
  terminated: 143,
} as const;

export interface ErrorDetails {
  /** A stable word for scripts, such as `tensor_shape` or `unknown_preset`. */
  readonly code: string;
  /** What was wrong and where: the file, tensor, flag or address, what was expected and what was found. */
  readonly message: string;
  /** The next step for the person who reads it. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Base of all errors raised on purpose. Everything else that is thrown is a bug and exits with 1. */
export class TracerError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(exitCode: number, details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.exitCode = exitCode;
    this.code = details.code;
    this.hint = details.hint;
  }
}

/** A flag, argument or combination of them that is invalid (exit 2). */
export class UsageError extends TracerError {
  constructor(details: ErrorDetails) {
    super(EXIT.usage, details);
  }
}

/** A model, file, revision or tensor that does not exist, is gated, or may not be read (exit 3). */
export class NotFoundError extends TracerError {
  constructor(details: ErrorDetails) {
    super(EXIT.notFound, details);
  }
}

/** A file that is damaged, or does not fit the model or the format (exit 4). */
export class BadFileError extends TracerError {
  constructor(details: ErrorDetails) {
    super(EXIT.badFile, details);
  }
}

/** Memory or disk is too small, or a folder cannot be written (exit 5). */
export class ExhaustedError extends TracerError {
  constructor(details: ErrorDetails) {
    super(EXIT.exhausted, details);
  }
}

/** An expectation given with `--expect…` was not met (exit 6). */
export class ExpectationError extends TracerError {
  constructor(details: ErrorDetails) {
    super(EXIT.expectation, details);
  }
}

/** The network is needed but off or unreachable (exit 69). */
export class NetworkError extends TracerError {
  constructor(details: ErrorDetails) {
    super(EXIT.network, details);
  }
}

/** Closes a `switch` over a literal union: a new member that is not handled becomes a compile error. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
