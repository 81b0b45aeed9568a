/** Llm: the error for a status that a server answered with. */
import { NotFoundError, type TracerError, UsageError } from '../errors.ts';
import { parseRetryAfter, PassingFault } from '../hub/retry.ts';
import type { LlmAddress } from './address.ts';
import { withoutKey } from '../hub/redact.ts';

export interface Refusal {
  readonly status: number;
  /** What the server says. */
  readonly reason: string;
  /** Code of the error in OpenAI's form, such as `insufficient_quota`. */
  readonly code: string | undefined;
  readonly headers: Headers | undefined;
}

/** `PassingFault` for 408, 409, 429 and 5xx, which are tried again; another error for what stays. */
export function refusalError(
  refusal: Refusal,
  { host, key, keyVariable }: LlmAddress,
  model: string,
): TracerError | PassingFault {
  const { status, code, headers } = refusal;
  const message = `${host} answered ${status}: ${withoutKey(refusal.reason, key)}`;
  if (status === 401 || status === 403) {
    return new NotFoundError({
      code: 'not_authorised',
      message,
      hint:
        key === undefined
          ? `The server wants a key: set ${keyVariable}, or name another variable with --key-env.`
          : `Check the key in ${keyVariable}, and that it is one of this server.`,
    });
  }
  if (status === 404) {
    return new NotFoundError({
      code: 'llm_not_found',
      message,
      hint: `Check that the server has the model '${model}', and that --base-url ends as its documentation says, usually with /v1.`,
    });
  }
  if (code === 'insufficient_quota' || status === 402) {
    return new NotFoundError({
      code: 'no_quota',
      message,
      hint: 'The account has no quota left; what was labelled is kept, and the same command continues.',
    });
  }
  if ([408, 409, 429].includes(status) || status >= 500) {
    return new PassingFault(message, { retryAfterMs: parseRetryAfter(headers?.get('retry-after') ?? null) });
  }
  return new UsageError({
    code: 'request_refused',
    message,
    hint: `The server refused the request for the model '${model}'; --dry-run shows what is sent.`,
  });
}
