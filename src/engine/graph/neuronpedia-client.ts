/** Engine: the client of Neuronpedia as a request and the environment describe it. */
import { readHubEnvironment } from '../../hub/environment.ts';
import type { RetryPolicy } from '../../hub/retry.ts';
import { sendsKeyInClear } from '../../hub/server-address.ts';
import { neuronpediaAddress } from '../../neuronpedia/address.ts';
import { NeuronpediaHttp } from '../../neuronpedia/http.ts';
import type { CommonOptions } from '../request.ts';

export interface NeuronpediaRequestOptions extends Pick<
  CommonOptions,
  'offline' | 'cacheDir' | 'signal' | 'onProgress'
> {
  /** The site; default: `NEURONPEDIA_BASE_URL`, else neuronpedia.org. */
  readonly baseUrl?: string | undefined;
  /** How often a fault that may pass is tried again, and how long is waited before. */
  readonly retry?: Partial<RetryPolicy> | undefined;
}

/** Throws `UsageError` for what is no address or no key. Nothing is asked yet. */
export function neuronpediaClient(request: NeuronpediaRequestOptions): NeuronpediaHttp {
  const { offline, proxyFor } = readHubEnvironment(request);
  const address = neuronpediaAddress(request);
  const warn = (message: string): void => request.onProgress?.({ kind: 'warning', message });
  if (sendsKeyInClear(address)) {
    warn(`the key is sent to ${address.host} unencrypted: the address begins with http://`);
  }
  return new NeuronpediaHttp(address, { offline, proxyFor, onNotice: warn, retry: request.retry });
}
