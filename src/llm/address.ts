/** Llm: which server is asked, and with which key. The key is read from the environment, goes into one header, and is in no message. */
import { NetworkError, UsageError } from '../errors.ts';

export const LLM_ENVIRONMENT = { baseUrl: 'OPENAI_BASE_URL', key: 'OPENAI_API_KEY' } as const;

export interface LlmAddress {
  /** Without a slash at its end, such as `http://localhost:11434/v1`. */
  readonly baseUrl: string;
  /** Host and port, for messages. */
  readonly host: string;
  /** Whether the server is on this machine. */
  readonly isLocal: boolean;
  /** Undefined where the variable is not set: local servers ask for none. */
  readonly key: string | undefined;
  /** The variable that the key is read from. */
  readonly keyVariable: string;
}

export interface LlmAddressRequest {
  readonly baseUrl?: string | undefined;
  /** Default: `OPENAI_API_KEY`. */
  readonly keyVariable?: string | undefined;
  readonly offline?: boolean | undefined;
}

const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/;
const HEADER_TEXT = /^[\x21-\x7e]+$/;
const VARIABLE = /^[A-Za-z_]\w*$/;

/**
 * The server that the request or the environment names. Throws `UsageError` for what is no address, and `NetworkError`
 * when the network is off and the server is on another machine.
 */
export function llmAddress(request: LlmAddressRequest, env: NodeJS.ProcessEnv = process.env): LlmAddress {
  const { keyVariable = LLM_ENVIRONMENT.key } = request;
  // Somebody who types the key here would find it in the history of the shell, but not in what is printed.
  if (!VARIABLE.test(keyVariable)) {
    throw new UsageError({
      code: 'bad_value',
      message: '--key-env: the name of an environment variable is expected',
      hint: `Write it as --key-env ${LLM_ENVIRONMENT.key}; the key itself is never an argument.`,
    });
  }
  const text = request.baseUrl || env[LLM_ENVIRONMENT.baseUrl];
  if (!text) {
    throw new UsageError({
      code: 'no_server',
      message: 'no server is named that has a language model',
      hint: `Give --base-url http://localhost:11434/v1 (Ollama), or set ${LLM_ENVIRONMENT.baseUrl}.`,
    });
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
  if (!isPlain) {
    throw new UsageError({
      code: 'bad_server',
      // The text may hold a password and is not shown.
      message: `${request.baseUrl ? '--base-url' : LLM_ENVIRONMENT.baseUrl}: a plain http or https address is expected, without a name, password or query in it`,
      hint: `Write it as https://llm.example.org/v1; a key is read from ${keyVariable}.`,
    });
  }
  const isLocal = LOOPBACK.test(url.hostname);
  if (request.offline && !isLocal) {
    throw new NetworkError({
      code: 'offline',
      message: `${url.host} is to be asked, but the network is switched off (--offline or HF_HUB_OFFLINE)`,
      hint: 'Start it without, or name a server on this machine.',
    });
  }
  const key = env[keyVariable]?.trim();
  // `fetch` would repeat it in its own error.
  if (key && !HEADER_TEXT.test(key)) {
    throw new UsageError({
      code: 'bad_key',
      message: `${keyVariable} holds no key: it has spaces, line breaks or letters that a header cannot carry`,
      hint: 'Set it to the key alone.',
    });
  }
  return {
    baseUrl: url.href.replace(/\/+$/, ''),
    host: url.host,
    isLocal,
    key: key || undefined,
    keyVariable,
  };
}

/** Keys are sent in clear text over plain http; within a machine nobody else reads it. */
export function sendsKeyInClear({ baseUrl, isLocal, key }: LlmAddress): boolean {
  return key !== undefined && !isLocal && baseUrl.startsWith('http:');
}
