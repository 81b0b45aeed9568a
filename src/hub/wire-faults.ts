/** Hub: classifies faults of a connection: those that may pass, those that stay, and those that the user caused by aborting. */
import { NetworkError, TracerError } from '../errors.ts';
import type { Proxy } from './proxy.ts';
import { PassingFault } from './retry.ts';
import type { StallGuard } from './stall-guard.ts';

const CERTIFICATE_FAULT = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/;
/** undici's messages for a tunnel that a proxy did not open, and for status 407 to a request without a tunnel. */
const PROXY_STATUS = /Proxy response \((\d+)\)|Proxy Authentication Required \((407)\)/;

/** `fetch` has an error without a message for status 407 to a request that went through no proxy. */
const NO_REASON = 'no reason given; perhaps status 407, which only a proxy should answer';

/** The error for a fault of `fetch` or of a body; any other error is returned unchanged. */
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
  // `fetch` reports every fault of a connection as a TypeError with a cause; without a cause it is a bug here.
  const cause = firstCause(error);
  if (cause === error) return error;
  const [, tunnel, plain] = PROXY_STATUS.exec(textOf(cause, 'message') ?? '') ?? [];
  const status = tunnel ?? plain;
  if (proxy && status !== undefined) return proxyRefusal(Number(status), host, proxy, error);
  const code = textOf(cause, 'code') ?? textOf(cause, 'message') ?? NO_REASON;
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

/** Names the proxy in a message, where there is one: it may be the reason of a fault. */
export function throughProxy(proxy: Proxy | undefined): string {
  return proxy ? ` through the proxy ${proxy.name}` : '';
}

/** The error for the status that a proxy answered a connection with: its own faults may pass, its refusals stay. */
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

/** Undefined for an empty text too. */
function textOf(cause: unknown, field: 'code' | 'message'): string | undefined {
  const value: unknown = typeof cause === 'object' && cause !== null ? Reflect.get(cause, field) : undefined;
  return typeof value === 'string' && value !== '' ? value : undefined;
}
