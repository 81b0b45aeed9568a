/** Llm: which server is asked, and with which key. The key is read from the environment, goes into one header, and is in no message. */
import { UsageError } from '../errors.ts';
import { keyFrom, requireOnline, serverAddress, type ServerAddress } from '../hub/server-address.ts';

export const LLM_ENVIRONMENT = { baseUrl: 'OPENAI_BASE_URL', key: 'OPENAI_API_KEY' } as const;

export interface LlmAddress extends ServerAddress {
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
  const address = serverAddress(
    text,
    request.baseUrl ? '--base-url' : LLM_ENVIRONMENT.baseUrl,
    `Write it as https://llm.example.org/v1; a key is read from ${keyVariable}.`,
  );
  requireOnline(address, request.offline);
  return { ...address, key: keyFrom(keyVariable, env), keyVariable };
}
