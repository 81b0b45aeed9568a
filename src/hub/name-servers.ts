/**
 * Hub: checks that a name server answers. Node resolves names by a system call that cannot be cancelled: on a network that
 * drops DNS queries (common on compute nodes) it keeps even a finished program alive for half a minute. The query made here
 * can be cancelled.
 */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { PassingFault } from './retry.ts';

/**
 * Returns when a name server has given any answer about a host, also that there is no such host. Throws
 * `PassingFault` when none does, and the signal's reason. `servers`: instead of those of the system.
 */
export async function requireNameServers(
  host: string,
  signal: AbortSignal | undefined,
  servers?: readonly string[],
): Promise<void> {
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0 || /(?:^|\.)localhost$/.test(host)) return;
  const resolver = new Resolver({ tries: 1 });
  if (servers) resolver.setServers(servers);
  const giveUp = (): void => resolver.cancel();
  signal?.addEventListener('abort', giveUp);
  try {
    await resolver.resolve4(host);
  } catch (error) {
    signal?.throwIfAborted();
    if (!isTimeout(error)) return;
    throw new PassingFault(`no name server answers for ${host}`, { cause: error });
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}

function isTimeout(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ETIMEOUT';
}
