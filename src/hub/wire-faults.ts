/** Hub: what went wrong on the wire, told apart: what may pass, what stays, and what was the user's own wish. */
import { NetworkError, TracerError } from '../errors.ts';
import type { Proxy } from './proxy.ts';
import { PassingFault } from './retry.ts';
import type { StallGuard } from './stall-guard.ts';

const CERTIFICATE_FAULT = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/;
/** undici's words for a tunnel that a proxy did not open; 407 to a request without a tunnel. */
const PROXY_STATUS = /Proxy response \((\d+)\)|Proxy Authentication Required \((407)\)/;

/** The error that a fault of `fetch` or of a body stands for; what is none of these comes back as it was. */
export function networkFault(
  error: unknown,
  url: string,
  proxy: Proxy | undefined,
  guard: StallGuard,
  signal: AbortSignal | undefined,
): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof TracerError || error instanceof PassingFault) return error;
  const { host } = new URL(url);
  const through = throughProxy(proxy);
  if (guard.stalled) return new PassingFault(`${host} sent nothing for too long${through}`, { cause: error });
  // `fetch` reports every fault of the wire as a TypeError whose cause tells more; without a cause it is a bug here.
  const cause = firstCause(error);
  if (cause === error) return error;
  const [, tunnel, plain] = PROXY_STATUS.exec(textOf(cause, 'message') ?? '') ?? [];
  const status = tunnel ?? plain;
  if (proxy && status !== undefined) return proxyRefusal(Number(status), host, proxy, error);
  const code = textOf(cause, 'code') ?? textOf(cause, 'message') ?? 'no reason given';
  if (!CERTIFICATE_FAULT.test(code)) {
    return new PassingFault(`the connection to ${host}${through} failed (${code})`, { cause: error });
  }
  return new NetworkError({
    code: 'bad_certificate',
    message: `the certificate of ${host}${through} is not trusted (${code})`,
    hint: 'Behind a company proxy, name the file with its certificate (PEM) in NODE_EXTRA_CA_CERTS.',
    cause: error,
  });
}

/** The words that tell of a proxy, where there is one: what fails may be its doing. */
export function throughProxy(proxy: Proxy | undefined): string {
  return proxy ? ` through the proxy ${proxy.name}` : '';
}

/** What a proxy answered to the wish for a connection: its own faults may pass, its refusals stay. */
export function proxyRefusal(status: number, host: string, proxy: Proxy, cause?: unknown): Error {
  const message = `the proxy ${proxy.name} answered ${status} to a connection to ${host}`;
  if (status >= 500 || status === 429) return new PassingFault(message, { cause });
  return new NetworkError({
    code: 'proxy_refused',
    message,
    hint:
      status === 407
        ? 'The proxy asks for a name and password: http://NAME:PASSWORD@HOST:PORT in the variable.'
        : `Ask who runs the proxy to let ${host} pass, or list it in NO_PROXY where it can be reached directly.`,
    cause,
  });
}

/** What an error was caused by in the first place; itself without a cause. */
function firstCause(error: unknown): unknown {
  const cause = typeof error === 'object' && error !== null && 'cause' in error ? error.cause : undefined;
  return cause === undefined ? error : firstCause(cause);
}

function textOf(cause: unknown, field: 'code' | 'message'): string | undefined {
  const value: unknown = typeof cause === 'object' && cause !== null ? Reflect.get(cause, field) : undefined;
  return typeof value === 'string' ? value : undefined;
}
