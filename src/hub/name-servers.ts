/**
 * Hub: do name servers answer? Node looks names up by a call of the system that cannot be given up: a network that drops such
 * questions (compute nodes often do) then keeps even a finished program alive, for half a minute. This question can be.
 */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { PassingFault } from './retry.ts';

/**
 * Returns when a name server has said anything about a host; what it says is for the connection to find out. Throws
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
