/** Writing results: whole texts to stdout, one JSON document with `--json`, and a closed pipe is no error. */
import { ExhaustedError } from '../errors.ts';

/** Raised whenever a field changes its meaning or goes away; new fields do not raise it. */
const SCHEMA_VERSION = 1;

export interface JsonError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

export type Envelope =
  | { readonly command: string; readonly data: object }
  | { readonly command: string; readonly error: JsonError };

export function envelopeText(envelope: Envelope): string {
  return `${JSON.stringify({ schema_version: SCHEMA_VERSION, ...envelope })}\n`;
}

/** Resolves when the text was written, or when the reader has closed the pipe (`tracer … | head -1`). */
export function writeText(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // Without a listener the same error would end the process as uncaught.
    stream.once('error', () => undefined);
    stream.write(text, (error) => {
      if (!error || ('code' in error && error.code === 'EPIPE')) return resolve();
      reject(
        new ExhaustedError({
          code: 'output_not_writable',
          message: `the result cannot be written to standard output: ${error.message}`,
          hint: 'Free disk space, or send the output elsewhere.',
          cause: error,
        }),
      );
    });
  });
}
