/** Model: checks that tokens can be run, before anything is loaded. */
import { UsageError } from '../errors.ts';
import type { TransformerConfig } from './config.ts';

/** Refuses what cannot be run: no tokens, too many, ids outside the vocabulary. `first`: positions that were run before. */
export function checkTokens(tokens: ArrayLike<number>, config: TransformerConfig, first = 0): void {
  if (tokens.length === 0) {
    throw new UsageError({
      code: 'empty_prompt',
      message: 'the prompt has no tokens',
      hint: 'Give at least one.',
    });
  }
  if (first + tokens.length > config.n_ctx) {
    throw new UsageError({
      code: 'prompt_too_long',
      message: `the prompt has ${first + tokens.length} tokens; the model's context is ${config.n_ctx}`,
      hint: 'Shorten the prompt.',
    });
  }
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i]!;
    if (!Number.isInteger(id) || id < 0 || id >= config.d_vocab) {
      throw new UsageError({
        code: 'token_out_of_range',
        message: `token ${id} at position ${i} is outside the vocabulary of ${config.d_vocab}`,
        hint: `Token ids are integers from 0 to ${config.d_vocab - 1}.`,
      });
    }
  }
}
