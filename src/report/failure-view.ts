/** View of an error on stderr: what was wrong, then the next step. */
import type { Screen } from './screen.ts';
import { printableLines } from './text.ts';

export interface ShownFailure {
  readonly message: string;
  readonly hint?: string | undefined;
  /** Only for unexpected errors, with `--verbose`. */
  readonly stack?: string | undefined;
}

export function failureView(failure: ShownFailure, screen: Screen): string {
  const lines = [`${screen.paint.red('error:')} ${printableLines(failure.message)}`];
  if (failure.hint !== undefined) lines.push(`${screen.paint.cyan('hint:')} ${printableLines(failure.hint)}`);
  if (failure.stack !== undefined) lines.push(screen.paint.dim(printableLines(failure.stack)));
  return lines.join('\n');
}
