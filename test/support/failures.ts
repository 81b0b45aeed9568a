/** Tests of clients: the error that a request ends with, and all of it that could be shown. */

export type Failure = Error & { readonly code: string; readonly exitCode: number; readonly hint?: string };

export async function errorOf(work: Promise<unknown>): Promise<Failure> {
  return await work.then(
    () => {
      throw new Error('the request was expected to fail');
    },
    (reason: unknown) => reason as Failure,
  );
}

/** Everything in an error that could be shown. */
export function shown(error: Failure): string {
  const chain = [error, error.cause].map((one) => (one instanceof Error ? [one.message, one.stack] : one));
  return JSON.stringify([chain, error.hint, { ...error }]);
}
