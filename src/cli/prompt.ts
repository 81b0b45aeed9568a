/** Reads a prompt from the argument, standard input, a file, or token ids. Texts are used unchanged. */
import { readFile, stat } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import type { Command } from 'commander';
import type { PromptInput } from '../engine/request.ts';
import { BadFileError, NotFoundError, UsageError } from '../errors.ts';
import { chatChoice, withChatFlags, type ChatFlags } from './chat.ts';
import { tokenIds } from './values.ts';

/** Far above any model's context; a larger file is most likely the wrong one. */
const LARGEST_PROMPT_BYTES = 16 * 2 ** 20;

const STANDARD_INPUT = '-';

export interface PromptChoice extends ChatFlags {
  readonly argument?: string | undefined;
  readonly promptFile?: string | undefined;
  readonly tokens?: readonly number[] | undefined;
}

const BOS_HELP = 'put in front of text: auto, none, or a token such as <bos>';

/** The ways to give a prompt. */
export function withPromptFlags(command: Command): Command {
  return withChatFlags(
    withBosFlag(
      command
        .argument('[prompt]', "the prompt, or '-' for standard input")
        .option('--prompt-file <file>', 'read the prompt from a file, as it is')
        .option('--tokens <ids>', 'token ids instead of text: 2,651,18', tokenIds('--tokens')),
    ),
  );
}

export function withBosFlag(command: Command): Command {
  return command.option('--bos <token>', BOS_HELP);
}

/** Throws `UsageError` unless exactly one is given and it is not empty. */
export async function readPrompt(
  choice: PromptChoice,
  stdin: Readable,
  signal: AbortSignal,
): Promise<PromptInput> {
  const { argument, promptFile, tokens } = choice;
  const chat = chatChoice(choice);
  const given = [
    argument === undefined ? undefined : 'a prompt',
    promptFile === undefined ? undefined : '--prompt-file',
    tokens === undefined ? undefined : '--tokens',
  ].filter((name) => name !== undefined);
  if (given.length !== 1) throw notExactlyOne(given);
  if (tokens !== undefined) return { tokens };
  const prompt = await readText(argument, promptFile, stdin, signal);
  if (prompt === '') {
    const from = promptFile ?? (argument === STANDARD_INPUT ? 'standard input' : 'the argument');
    throw new UsageError({
      code: 'empty_prompt',
      message: `the prompt is empty (${from})`,
      hint: 'Give at least one character, or --tokens with the id of <bos> alone.',
    });
  }
  return chat ? { prompt, chat } : { prompt };
}

function notExactlyOne(given: readonly string[]): UsageError {
  if (given.length === 0) {
    return new UsageError({
      code: 'missing_prompt',
      message: 'a prompt is missing',
      hint: "Give it as an argument in quotes (behind `--` where it begins with '-'), '-' for standard input, --prompt-file FILE, or --tokens 2,651.",
    });
  }
  return new UsageError({
    code: 'several_prompts',
    message: `one prompt is expected, found ${given.join(' and ')}`,
    hint: 'Leave out all but one.',
  });
}

async function readText(
  argument: string | undefined,
  promptFile: string | undefined,
  stdin: Readable,
  signal: AbortSignal,
): Promise<string> {
  if (promptFile !== undefined) return decode(promptFile, await readPromptFile(promptFile));
  if (argument !== STANDARD_INPUT) return argument ?? '';
  const chunks: Buffer[] = [];
  let length = 0;
  // Ctrl-C has to end the wait for input.
  for await (const chunk of addAbortSignal(signal, stdin) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > LARGEST_PROMPT_BYTES) throw tooLarge('standard input', length);
  }
  return decode('standard input', Buffer.concat(chunks));
}

async function readPromptFile(path: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > LARGEST_PROMPT_BYTES) throw tooLarge(path, size);
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof BadFileError || !(cause instanceof Error)) throw cause;
    throw new NotFoundError({
      code: 'prompt_file',
      message: `--prompt-file: ${path} cannot be read: ${cause.message}`,
      hint: 'Check the path and its permissions.',
      cause,
    });
  }
}

function tooLarge(name: string, bytes: number): BadFileError {
  return new BadFileError({
    code: 'prompt_too_large',
    message: `${name} has ${bytes} bytes or more; a prompt has at most ${LARGEST_PROMPT_BYTES}`,
    hint: 'Check that the right file is named.',
  });
}

function decode(name: string, bytes: Buffer): string {
  try {
    // A mark at the start is a character of the prompt like any other.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new BadFileError({
      code: 'not_utf8',
      message: `the prompt in ${name} is not a text in UTF-8`,
      hint: 'Save it as UTF-8.',
      cause,
    });
  }
}
