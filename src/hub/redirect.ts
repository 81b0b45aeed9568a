/** Hub: the address that an answer redirects a request to, and whether the request may be sent there. */
import { NetworkError } from '../errors.ts';
import type { HubRequest } from './request.ts';

export const MOST_REDIRECTS = 10;
const REDIRECTS = [301, 302, 303, 307, 308];

/**
 * The address that an answer redirects to; undefined for an answer that does not. A body is sent to the origin that it was
 * meant for and to no other. Throws `NetworkError` for an address other than http or https, and where a body would go to
 * another origin.
 */
export function redirectOf(response: Response, from: string, request: HubRequest): string | undefined {
  const location = REDIRECTS.includes(response.status) ? response.headers.get('location') : null;
  if (location === null) return undefined;
  const next = URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (!next || !['http:', 'https:'].includes(next.protocol)) {
    throw badRedirect(request, 'to something other than an http or https address');
  }
  if (request.body !== undefined && next.origin !== new URL(from).origin) {
    throw badRedirect(request, `to ${next.origin}, but a request with a body is not sent to another origin`);
  }
  return next.href;
}

export function badRedirect({ url }: HubRequest, how: string): NetworkError {
  const { origin, pathname } = new URL(url);
  return new NetworkError({
    code: 'request_refused',
    message: `${origin}${pathname} was redirected ${how}`,
    hint: 'If HF_ENDPOINT is set, check that it speaks the API of the Hugging Face Hub.',
  });
}
