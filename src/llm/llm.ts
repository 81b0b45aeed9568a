/** Llm: asks a server with OpenAI's interface for a completion, through the package `openai`, which is loaded when it is needed. */
import type { APIError, OpenAI } from 'openai';
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { messageOf } from '../formats/system-errors.ts';
import type { Proxy } from '../hub/proxy.ts';
import { DEFAULT_RETRY, type Notice, PassingFault, type RetryPolicy, withRetries } from '../hub/retry.ts';
import type { LlmAddress } from './address.ts';
import { refusalError } from './refusal.ts';
import { keyReplaced, withoutKey } from '../hub/redact.ts';
import { wholeFetch } from './whole-fetch.ts';

export interface Message {
  readonly role: 'system' | 'user';
  readonly content: string;
}

export interface Question {
  readonly model: string;
  readonly messages: readonly Message[];
  /** Tokens of the answer at most, hidden reasoning included. */
  readonly maxTokens: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Completion {
  readonly text: string;
  /** Whether it was cut at `maxTokens`. */
  readonly isCut: boolean;
  /** As the server counts them; null where it does not. */
  readonly tokens: { readonly prompt: number; readonly completion: number } | null;
}

export interface LlmOptions {
  /** How long an answer may take. */
  readonly timeoutMs: number;
  readonly proxyFor: (url: string) => Proxy | undefined;
  readonly onNotice: Notice;
  readonly retry?: Partial<RetryPolicy> | undefined;
}

const tokenCount = v.pipe(v.number(), v.minValue(0));

/** The part of an answer that is used. Servers add fields and leave out those of others. */
const Answer = jsonObject({
  choices: v.pipe(
    v.array(
      jsonObject({
        message: jsonObject({ content: v.nullish(v.string(), '') }),
        finish_reason: v.nullish(v.string(), null),
      }),
    ),
    v.minLength(1, 'choices is empty'),
  ),
  // Counts that are none are as good as missing: an answer that was paid for is not thrown away for them.
  usage: v.fallback(
    v.nullish(jsonObject({ prompt_tokens: tokenCount, completion_tokens: v.nullish(tokenCount, 0) }), null),
    null,
  ),
});

/** What some servers answer with status 200 when they have no completion. */
const ErrorInAnswer = jsonObject({ error: jsonObject({ message: v.pipe(v.string(), v.nonEmpty()) }) });

/** Parameters that some models refuse: those that reason count `max_completion_tokens`, and take no temperature. */
type Adaptable = 'max_tokens' | 'temperature';

export class Llm {
  readonly address: LlmAddress;
  readonly #client: OpenAI;
  readonly #APIError: typeof APIError;
  readonly #options: LlmOptions;
  /** By model: what it refused. */
  readonly #refused = new Map<string, Set<Adaptable>>();

  private constructor(address: LlmAddress, client: OpenAI, apiError: typeof APIError, options: LlmOptions) {
    this.address = address;
    this.#client = client;
    this.#APIError = apiError;
    this.#options = options;
  }

  static async open(address: LlmAddress, options: LlmOptions): Promise<Llm> {
    const { OpenAI, APIError } = await import('openai');
    const client = new OpenAI({
      baseURL: address.baseUrl,
      // The package wants one; without a key the header is left out.
      apiKey: address.key ?? 'none',
      defaultHeaders: { ...(address.key === undefined && { authorization: null }) },
      // The package would read these from the environment, and send them to any server.
      organization: null,
      project: null,
      adminAPIKey: null,
      // It would print requests on standard output where OPENAI_LOG asks for it.
      logLevel: 'off',
      // Faults are tried again here, where their waits are told and can be cancelled.
      maxRetries: 0,
      // The time limit is that of `wholeFetch`, which holds for the body as well.
      timeout: 2 * options.timeoutMs,
      fetch: wholeFetch(options.proxyFor, options.timeoutMs),
    });
    return new Llm(address, client, APIError, options);
  }

  /**
   * One completion, at temperature 0 where the model takes one. Throws `NotFoundError` for a key, model or quota that is
   * missing, `NetworkError` when faults do not pass, `BadFileError` for an answer that is no completion, and the signal's reason.
   */
  async complete(question: Question): Promise<Completion> {
    const { signal } = question;
    const answer = await withRetries(() => this.#try(question), {
      policy: { ...DEFAULT_RETRY, ...this.#options.retry },
      onNotice: this.#options.onNotice,
      signal,
      hint: 'Start the same command again later: what was done so far is kept. --concurrency 1 asks for one thing at a time.',
    });
    const parsed = v.safeParse(Answer, answer);
    if (!parsed.success) throw this.#noCompletion(errorIn(answer) ?? parsed.issues[0].message);
    const { choices, usage } = parsed.output;
    const [choice] = choices;
    return {
      // A model behind a server that adds the key to its prompt may repeat it, and answers become files.
      text: keyReplaced(choice!.message.content, this.address.key),
      isCut: choice!.finish_reason === 'length',
      tokens: usage && { prompt: usage.prompt_tokens, completion: usage.completion_tokens },
    };
  }

  async #try(question: Question): Promise<unknown> {
    const { model, messages, maxTokens, signal } = question;
    const refused = this.#refused.get(model) ?? new Set();
    this.#refused.set(model, refused);
    // The package never takes its listener away, so each request has a signal of its own.
    const own = new AbortController();
    const stop = (): void => own.abort(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    try {
      return await this.#client.chat.completions.create(
        {
          model,
          messages: [...messages],
          ...(refused.has('max_tokens') ? { max_completion_tokens: maxTokens } : { max_tokens: maxTokens }),
          ...(!refused.has('temperature') && { temperature: 0 }),
        },
        { signal: own.signal },
      );
    } catch (error) {
      signal?.throwIfAborted();
      const fault = this.#fault(error, model);
      const parameter = (['max_tokens', 'temperature'] as const).find(
        (one) => this.#isAbout(error, one) && !refused.has(one),
      );
      if (parameter === undefined) throw fault;
      refused.add(parameter);
      return await this.#try(question);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  #isAbout(error: unknown, parameter: Adaptable): boolean {
    if (!(error instanceof this.#APIError) || ![400, 422].includes(error.status as number)) return false;
    return error.param === parameter || error.message.includes(parameter);
  }

  /** Without the package's error as a cause: it holds the request and its headers. */
  #fault(error: unknown, model: string): unknown {
    if (!(error instanceof this.#APIError)) {
      // A body that is no JSON although its type says so. By name, since the error may come from another realm.
      const isSyntax = (error as Partial<Error> | null)?.name === 'SyntaxError';
      return isSyntax ? this.#noCompletion(messageOf(error)) : error;
    }
    const status = error.status as number | undefined;
    if (status === undefined)
      return error.cause ?? new PassingFault(`${this.address.host}: ${error.message}`);
    const { message, code, headers } = error as APIError<number, Headers>;
    return refusalError(
      { status, reason: message.replace(/^\d+ /, ''), code: code ?? undefined, headers },
      this.address,
      model,
    );
  }

  #noCompletion(why: string): BadFileError {
    const { host, key } = this.address;
    return new BadFileError({
      code: 'bad_answer',
      message: `the answer of ${host} is no chat completion: ${withoutKey(why, key)}`,
      hint: 'Check that --base-url names a server with the interface of OpenAI, usually with /v1 at its end.',
    });
  }
}

function errorIn(answer: unknown): string | undefined {
  const parsed = v.safeParse(ErrorInAnswer, answer);
  return parsed.success ? parsed.output.error.message : undefined;
}
