/** Neuronpedia: which site is asked, and with which key. The key is read from the environment, goes into one header, and is in no message. */
import { keyFrom, serverAddress, type ServerAddress } from '../hub/server-address.ts';

export const NEURONPEDIA_SITE = 'https://www.neuronpedia.org';
export const NEURONPEDIA_ENVIRONMENT = {
  baseUrl: 'NEURONPEDIA_BASE_URL',
  key: 'NEURONPEDIA_API_KEY',
} as const;
/** Where a person finds the key, below the address of the site. */
export const ACCOUNT_PAGE = '/account';

export interface NeuronpediaAddress extends ServerAddress {
  /** Undefined where the variable is not set: most that is only read is open to all. */
  readonly key: string | undefined;
}

/** The site that the request or the environment names. Throws `UsageError` for what is no address, or no key. */
export function neuronpediaAddress(
  request: { readonly baseUrl?: string | undefined } = {},
  env: NodeJS.ProcessEnv = process.env,
): NeuronpediaAddress {
  const { baseUrl, key } = NEURONPEDIA_ENVIRONMENT;
  const text = request.baseUrl || env[baseUrl] || NEURONPEDIA_SITE;
  const hint = `Write it as ${NEURONPEDIA_SITE}; a key is read from ${key}.`;
  const address = serverAddress(text, request.baseUrl ? '--base-url' : baseUrl, hint);
  return { ...address, key: keyFrom(key, env) };
}
