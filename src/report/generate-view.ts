/** View of `generate` after the streamed text: why it ended and how fast it was. */
import type { GenerateResult } from '../engine/generate/types.ts';
import { unreachable } from '../errors.ts';
import { formatAmount, formatBytes, formatDuration } from './numbers.ts';
import type { Screen } from './screen.ts';
import { printable } from './text.ts';

/** Without a terminal only the text is printed, so that it can be used as it is. */
export function generateView(result: GenerateResult, screen: Screen): string {
  if (!screen.interactive) return '';
  const { tokens, n_prompt_tokens, first_token_ms, ms_per_token, seed, files } = result;
  const parts = [
    `${formatAmount(tokens.length - n_prompt_tokens, 'token')}, ended by ${endedBy(result)}`,
    `first token ${formatDuration(first_token_ms)}`,
    ...(ms_per_token === null ? [] : [`each later one ${formatDuration(ms_per_token)}`]),
    ...(seed === null ? [] : [`seed ${seed}`]),
    ...files.map(({ path, bytes }) => `written ${printable(path)} (${formatBytes(bytes)})`),
  ];
  return `\n\n${screen.paint.dim(parts.join('; '))}`;
}

function endedBy({ stopped_at, stopped_by }: GenerateResult): string {
  switch (stopped_at) {
    case 'eos':
      return 'the end of the text';
    case 'stop':
      return `the text "${printable(stopped_by!)}"`;
    case 'length':
      return 'the limit';
    default:
      return unreachable(stopped_at);
  }
}
