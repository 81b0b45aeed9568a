/** Llm: how many tokens a run may still cost. Each request reserves what it may cost at most and gives back what it did not. */
import type { Message } from './llm.ts';

/** Bytes of a token, on the low side for English, so that estimates are rather too high. */
const BYTES_PER_TOKEN = 3;
/** Tokens that a chat template puts around a message. */
const TEMPLATE_TOKENS = 8;

/** Before a request is made; the server counts with its own tokenizer. */
export function estimateTokens(messages: readonly Message[]): number {
  return messages.reduce(
    (sum, { content }) => sum + Math.ceil(Buffer.byteLength(content) / BYTES_PER_TOKEN) + TEMPLATE_TOKENS,
    0,
  );
}

export interface Spent {
  readonly prompt: number;
  readonly completion: number;
}

export class TokenBudget {
  /** Undefined: no limit. */
  readonly limit: number | undefined;
  /** So far, as the server counts, else as estimated. */
  spent: Spent = { prompt: 0, completion: 0 };
  #reserved = 0;

  constructor(limit: number | undefined) {
    this.limit = limit;
  }

  /** Whether so many more tokens fit; then they count as used until they are settled. */
  reserve(tokens: number): boolean {
    const used = this.spent.prompt + this.spent.completion + this.#reserved;
    if (this.limit !== undefined && used + tokens > this.limit) return false;
    this.#reserved += tokens;
    return true;
  }

  settle(reserved: number): void {
    this.#reserved -= reserved;
  }

  spend({ prompt, completion }: Spent): void {
    this.spent = { prompt: this.spent.prompt + prompt, completion: this.spent.completion + completion };
  }
}
