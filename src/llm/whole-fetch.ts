/** Llm: `fetch` that resolves with the whole answer: a body that is cut or stalls is a fault of the request, which is then tried again. */
import { BadFileError, NetworkError } from '../errors.ts';
import type { Proxy } from '../hub/proxy.ts';
import { StallGuard } from '../hub/stall-guard.ts';
import { Transport } from '../hub/transport.ts';
import { networkFault } from '../hub/wire-faults.ts';

/** A completion has some KB. */
const LARGEST_ANSWER_BYTES = 16 * 2 ** 20;
/** Statuses whose answers have no body. */
const BODILESS = [204, 205, 304];

export type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

/**
 * Through the proxy that `proxyFor` names. Throws `PassingFault` for faults that may pass, among them an answer that is not
 * complete after `timeoutMs`; `NetworkError` for those that stay; and the signal's reason.
 */
export function wholeFetch(proxyFor: (url: string) => Proxy | undefined, timeoutMs: number): Fetch {
  const transport = new Transport(proxyFor);
  return async (target, init = {}) => {
    const url = target instanceof Request ? target.url : String(target);
    const signal = init.signal ?? undefined;
    using guard = new StallGuard(timeoutMs, signal);
    try {
      const response = await guard.until(transport.fetch(url, { ...init, signal: guard.signal }));
      if (response.status >= 300 && response.status < 400) throw redirected(url, response.status);
      const body = await readWhole(response, guard, url);
      const { status, statusText, headers } = response;
      return new Response(BODILESS.includes(status) ? null : body, { status, statusText, headers });
    } catch (error) {
      throw networkFault(error, url, transport.proxyFor(url), guard, signal);
    }
  };
}

async function readWhole(response: Response, guard: StallGuard, url: string): Promise<ArrayBuffer> {
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  while (reader) {
    const step = await guard.until(reader.read());
    if (step.done) break;
    bytes += step.value.length;
    if (bytes > LARGEST_ANSWER_BYTES) {
      await reader.cancel();
      throw new BadFileError({
        code: 'answer_too_large',
        message: `${new URL(url).host} answered with more than ${LARGEST_ANSWER_BYTES / 2 ** 20} MiB, where some text is expected`,
        hint: 'Check that --base-url names a server with the interface of OpenAI, usually with /v1 at its end.',
      });
    }
    parts.push(step.value);
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole.buffer;
}

/** A redirect could lead the key to another host. */
function redirected(url: string, status: number): NetworkError {
  return new NetworkError({
    code: 'request_refused',
    message: `${new URL(url).host} answered with a redirect (${status}), which is not followed: the key is meant for this address alone`,
    hint: 'Name the address that it leads to with --base-url.',
  });
}
