/** Engine: how many tokens of a corpus are read together. */
import { UsageError } from '../../errors.ts';
import type { TransformerConfig } from '../../model/config.ts';

/** BOS alone is not a window. */
const SHORTEST_CONTEXT = 2;

/**
 * `--context`, by default `usual` or what the model reads. Throws `UsageError` where it reads less.
 * @returns tokens of a window, BOS included
 */
export function contextOf(
  context: number | undefined,
  usual: number,
  { n_ctx }: Pick<TransformerConfig, 'n_ctx'>,
): number {
  if (context === undefined) return Math.min(usual, n_ctx);
  if (context >= SHORTEST_CONTEXT && context <= n_ctx) return context;
  throw new UsageError({
    code: 'out_of_range',
    message: `--context ${context}: the model reads ${n_ctx} tokens at most`,
    hint: `Give a number from ${SHORTEST_CONTEXT} to ${n_ctx}.`,
  });
}
