/**
 * A server on loopback that speaks OpenAI's chat completions: it labels every feature in the same way and decides by a rule which texts
 * fit. Faults are injected by the test, one for each request.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type LlmFault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly error?: object;
    }
  /** The connection is cut before, or in the middle of, the answer. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** The request is taken, so many bytes are sent, and then nothing. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** This body instead of a completion, with status 200. */
  | { readonly kind: 'body'; readonly body: string; readonly type?: string }
  /** This text in place of what the model would say. */
  | { readonly kind: 'says'; readonly text: string; readonly isCut?: boolean };

export interface LlmRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: {
    readonly model: string;
    readonly messages: readonly { readonly role: string; readonly content: string }[];
    readonly max_tokens?: number;
    readonly max_completion_tokens?: number;
    readonly temperature?: number;
  };
}

export const SOME_LABEL = 'cities of Texas';

export class LlmServer implements AsyncDisposable {
  readonly requests: LlmRequest[] = [];
  /** Taken from the front, one a request; undefined: none for this request. */
  readonly faults: (LlmFault | undefined)[] = [];
  /** Which texts fit the label. */
  fits = (text: string): boolean => /Dallas|Houston|Antonio/.test(text);
  /** The key that is asked for; undefined: none. */
  key: string | undefined;
  /** Whether answers count tokens. */
  countsTokens = true;
  /** Before an answer. */
  delayMs = 0;
  mostAtOnce = 0;
  #atOnce = 0;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  static async start(): Promise<LlmServer> {
    const server = new LlmServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = JSON.parse(Buffer.concat(parts).toString() || '{}') as LlmRequest['body'];
    this.requests.push({ path: request.url ?? '', headers: request.headers, body });
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    this.#atOnce--;
    const fault = this.faults.shift();
    const { authorization } = request.headers;
    if (this.key !== undefined && authorization !== `Bearer ${this.key}`) {
      const message = `Incorrect API key provided: ${authorization}`;
      return send(response, 401, { error: { message, code: 'invalid_api_key' } });
    }
    switch (fault?.kind) {
      case 'status':
        return send(
          response,
          fault.status,
          { error: { message: 'as the test asked', ...fault.error } },
          fault.headers,
        );
      case 'body':
        response.writeHead(200, { 'content-type': fault.type ?? 'application/json' }).end(fault.body);
        return;
      case 'cut':
      case 'stall': {
        const whole = JSON.stringify(this.#completion('Label: never seen'));
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': whole.length });
        response.write(whole.slice(0, fault.afterBytes), () => fault.kind === 'cut' && response.destroy());
        return;
      }
      default:
        return send(response, 200, this.#completion(fault?.text ?? this.#says(body), fault?.isCut));
    }
  }

  #says({ messages }: LlmRequest['body']): string {
    const asked = messages.at(-1)!.content;
    if (!asked.startsWith('Description:')) return `Label: ${SOME_LABEL}`;
    const texts = [...asked.matchAll(/^\d+\. (".*")$/gm)].map(([, text]) => JSON.parse(text!) as string);
    return JSON.stringify(texts.map((text) => Number(this.fits(text))));
  }

  #completion(text: string, isCut = false): object {
    return {
      object: 'chat.completion',
      choices: [
        { index: 0, message: { role: 'assistant', content: text }, finish_reason: isCut ? 'length' : 'stop' },
      ],
      ...(this.countsTokens && {
        usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 },
      }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
