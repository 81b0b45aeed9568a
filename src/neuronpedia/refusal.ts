/** Neuronpedia: the error for a status that was answered. It names method, path and status, never the key or the query of an address. */
import { NetworkError, NotFoundError, type TracerError, UsageError } from '../errors.ts';
import { withoutKey } from '../hub/redact.ts';
import { parseRetryAfter, PassingFault } from '../hub/retry.ts';
import { ACCOUNT_PAGE, NEURONPEDIA_ENVIRONMENT, type NeuronpediaAddress } from './address.ts';

export interface Refusal {
  readonly status: number;
  /** Such as `POST www.neuronpedia.org/api/graph/save-to-db`. */
  readonly what: string;
  /** Whether the site itself answered, and not the storage that it names. */
  readonly isSite: boolean;
  /** What the answer says about it; empty where it says nothing. */
  readonly reason: string;
  readonly headers: Headers;
}

/** `PassingFault` for 408, 425, 429 and 5xx, which are tried again; another error for what stays. */
export function refusalError(refusal: Refusal, address: NeuronpediaAddress): TracerError | PassingFault {
  const { status, what, isSite, reason, headers } = refusal;
  const message = `${what} answered ${status}${reason === '' ? '' : `: ${reason}`}`;
  if ([408, 425, 429].includes(status) || status >= 500) {
    return new PassingFault(message, { retryAfterMs: parseRetryAfter(headers.get('retry-after')) });
  }
  if (!isSite && (status === 401 || status === 403)) {
    return new NotFoundError({
      code: 'storage_refused',
      message,
      hint: 'The storage that Neuronpedia names refuses it; a signed address is good for an hour. Start the command again.',
    });
  }
  if (status === 401 || status === 403) {
    const { key, baseUrl } = address;
    const variable = NEURONPEDIA_ENVIRONMENT.key;
    return new NotFoundError({
      code: 'not_authorised',
      message,
      hint:
        key === undefined
          ? `This needs a key: set ${variable} to the one on ${baseUrl}${ACCOUNT_PAGE}.`
          : `Check the key in ${variable} against the one on ${baseUrl}${ACCOUNT_PAGE}, and that what is changed is yours.`,
    });
  }
  if (status === 404 || status === 410) {
    return new NotFoundError({
      code: 'neuronpedia_not_found',
      message,
      hint: `Check the names in the address, and that ${address.baseUrl} is the site that is meant.`,
    });
  }
  if (status >= 300 && status < 400) {
    return new NetworkError({
      code: 'request_refused',
      message: `${what} answered with a redirect (${status}), which is not followed: the key and what is sent are meant for this address alone`,
      hint: `Name the address that it leads to with --base-url or in ${NEURONPEDIA_ENVIRONMENT.baseUrl}.`,
    });
  }
  return new UsageError({
    code: 'request_refused',
    message,
    hint: 'Correct what it names, and start the command again.',
  });
}

/** What a body says about a refusal: `error`, `message` and `details` of JSON, or the code in the XML of a storage. */
export function reasonOf(body: string, address: NeuronpediaAddress): string {
  const said = jsonReason(body) ?? /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? '';
  // A query may hold a signature.
  return withoutKey(said.replace(/(https?:\/\/[^\s"'?]*)\?[^\s"']*/g, '$1'), address.key);
}

function jsonReason(body: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined; // no JSON: a web page, or the XML of a storage
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { error, message, details } = value as Record<string, unknown>;
  const parts = [error, message, ...(Array.isArray(details) ? (details as unknown[]) : [details])];
  return parts.filter((part) => typeof part === 'string' && part !== '').join('; ');
}
