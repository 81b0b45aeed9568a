/** The flags of commands that take a prompt in the model's chat template. */
import type { Command } from 'commander';
import type { ChatChoice } from '../engine/request.ts';
import { UsageError } from '../errors.ts';

export interface ChatFlags {
  readonly chat?: boolean;
  readonly system?: string;
}

export function withChatFlags(command: Command): Command {
  return command
    .option('--chat', "put the prompt into the model's chat template")
    .option('--system <text>', 'with --chat: a system message in front of it');
}

/** Throws `UsageError` for a system message without a template, or a template around token ids. */
export function chatChoice({
  chat,
  system,
  tokens,
}: ChatFlags & { readonly tokens?: readonly number[] | undefined }): ChatChoice | undefined {
  if (chat && tokens !== undefined) {
    throw new UsageError({
      code: 'chat_with_tokens',
      message:
        '--chat puts a text into the chat template; --tokens gives token ids, which are taken as they are',
      hint: 'Leave out --chat, or give the prompt as text.',
    });
  }
  if (chat) return { system };
  if (system === undefined) return undefined;
  throw new UsageError({
    code: 'system_without_chat',
    message: '--system is the system message of --chat, which is missing',
    hint: 'Add --chat.',
  });
}
