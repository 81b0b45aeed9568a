/** Converts anything thrown into a failure: exit code, stable code, message, hint. */
import { CommanderError } from 'commander';
import { EXIT, TracerError } from '../errors.ts';
import { nearest } from '../nearest.ts';

export interface Failure {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  /** Only where something unexpected happened. */
  readonly stack?: string | undefined;
}

/** Errors of the system that the code at the point of failure did not handle. */
const EXHAUSTED: Readonly<Record<string, { readonly code: string; readonly hint: string }>> = {
  ENOSPC: { code: 'disk_full', hint: 'Free disk space, or write to another disk.' },
  EDQUOT: { code: 'disk_full', hint: 'Your disk quota is used up: free space, or write to another disk.' },
  EACCES: { code: 'not_writable', hint: 'Choose a folder that your user may read and write.' },
  EROFS: { code: 'not_writable', hint: 'Choose a folder on a writable file system.' },
  ENOMEM: { code: 'out_of_memory', hint: 'Close other programs, or give --max-memory.' },
  ERR_MEMORY_ALLOCATION_FAILED: {
    code: 'out_of_memory',
    hint: 'Close other programs, or give --max-memory.',
  },
};

/** V8's messages when memory is exhausted. */
const ALLOCATION_FAILED = /array buffer allocation failed|invalid (?:typed )?array length/i;

/** Context for errors in a command line. */
export interface TypedCommand {
  /** `tracer run` */
  readonly line: string;
  readonly takesPrompt: boolean;
}

export function describeFailure(error: unknown, stop: AbortSignal, command: TypedCommand): Failure {
  // A stopped command may throw anything while it ends; the failure is the stop.
  if (stop.aborted && stop.reason instanceof TracerError) return fromTracer(stop.reason);
  if (error instanceof TracerError) return fromTracer(error);
  if (error instanceof CommanderError) return fromCommander(error, command);
  return fromUnexpected(error);
}

function fromTracer({ exitCode, code, message, hint }: TracerError): Failure {
  return { exitCode, code, message, hint };
}

const SUGGESTION = /\n\(Did you mean (.+)\?\)$/;

const CHOICES = /Allowed choices are (.+)\.$/;
const GIVEN_VALUE = /value '([^']*)' is invalid/;
const UNKNOWN_OPTION = /^unknown option '(.*)'$/s;
/** `--top`, `--top=5`: hardly a prompt. A text that begins with a hyphen mostly has spaces or other signs. */
const LONG_FLAG = /^--[a-z][a-z0-9-]*(?:=\S*)?$/i;
/** `-x`, `--top=a b`: a flag or a prompt. */
const FLAG = /^--?[a-z][a-z0-9-]*(?:=.*)?$/i;
/** What else may be a flag with a mistake in it: `--top 5` in quotes, and not `-- item`. */
const FLAG_BEGINNING = /^--?[a-z]/i;

/** commander's `error: unknown option '--tpo'\n(Did you mean --top?)`, code `commander.unknownOption`. */
function fromCommander(error: CommanderError, command: TypedCommand): Failure {
  const text = error.message.replace(/^error: /, '');
  // A help page is thrown without a message: for `tracer` alone, `tracer graph`, `tracer help nope`.
  const message =
    error.code === 'commander.help'
      ? 'a command is missing, or is an unknown command'
      : text.replace(SUGGESTION, '');
  const choices = CHOICES.exec(text)?.[1]?.split(', ') ?? [];
  const suggestion = SUGGESTION.exec(text)?.[1] ?? nearest(GIVEN_VALUE.exec(text)?.[1] ?? '', choices);
  return {
    exitCode: EXIT.usage,
    code: error.code.replace(/^commander\./, '').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    message,
    hint: hintFor(UNKNOWN_OPTION.exec(message)?.[1], suggestion, command),
  };
}

/** An unknown flag may also be a prompt: the hint names both, unless one of them is unlikely. */
function hintFor(
  option: string | undefined,
  suggestion: string | undefined,
  { line, takesPrompt }: TypedCommand,
): string {
  const hint = suggestion === undefined ? `See \`${line} --help\`.` : `Did you mean '${suggestion}'?`;
  if (option === undefined || !takesPrompt || LONG_FLAG.test(option)) return hint;
  const isFlag = FLAG.test(option);
  if (isFlag && suggestion !== undefined) return hint;
  const dashes = `A prompt that begins with '-' needs \`--\` in front, behind all flags: ${line} -- "-1 + 1 =".`;
  const isSimilar = suggestion !== undefined && FLAG_BEGINNING.test(option);
  return isFlag || isSimilar ? `${dashes} ${hint}` : dashes;
}

function fromUnexpected(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  const systemCode = error instanceof Error && 'code' in error ? String(error.code) : '';
  const exhausted =
    EXHAUSTED[systemCode] ?? (ALLOCATION_FAILED.test(message) ? EXHAUSTED['ENOMEM'] : undefined);
  if (exhausted) return { exitCode: EXIT.exhausted, message, stack, ...exhausted };
  return {
    exitCode: EXIT.unexpected,
    code: 'unexpected',
    message: message === '' ? 'something unexpected happened' : message,
    hint: 'This is a bug in tracer: please report it, with the output of --verbose.',
    stack,
  };
}
