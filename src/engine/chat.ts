/** Engine: a prompt in the chat template of the model's checkpoint. */
import type { FileSet } from '../model/file-set.ts';
import { findChatTemplate, renderChat } from '../tokenizer/chat-template.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ChatChoice, CommonOptions, PromptInput } from './request.ts';

/** What is tokenized: the whole text, template included. */
export type ReadInput =
  | { readonly prompt: string; readonly inTemplate?: ChatChoice | undefined }
  | { readonly tokens: readonly number[] };

/** A part of results and of a graph's options. */
export interface ChatResult {
  /** Present when the prompt was put into the chat template: the whole text; `system` is null without a system message. */
  readonly chat?: { readonly system: string | null; readonly text: string };
}

/** Throws `UsageError` when the checkpoint has no chat template, or the template does not take the messages. */
export async function inTemplate(
  input: PromptInput,
  files: FileSet,
  tokenizer: Tokenizer,
): Promise<ReadInput> {
  if ('tokens' in input) return input;
  const { prompt, chat } = input;
  if (!chat || prompt === '') return { prompt };
  const template = await findChatTemplate(files);
  const text = await renderChat(template, { prompt, system: chat.system }, tokenizer.roleTokens);
  return { prompt: text, inTemplate: chat };
}

export function chatResult(input: ReadInput): ChatResult {
  if (!('prompt' in input) || !input.inTemplate) return {};
  return { chat: { system: input.inTemplate.system ?? null, text: input.prompt } };
}

/** Shows the tokens that a template makes of a prompt, and returns the part of the result. `line`: where prompts come in a list. */
export function noteChat(
  input: ReadInput,
  tokens: readonly number[],
  tokenizer: Tokenizer,
  onProgress: CommonOptions['onProgress'],
  line?: number,
): ChatResult {
  const result = chatResult(input);
  if (result.chat) {
    const where = line === undefined ? '' : `line ${line}: `;
    const texts = tokenizer.tokenStrings(tokens).map((text) => JSON.stringify(text));
    const message = `${where}the prompt in the chat template is ${tokens.length} tokens: ${texts.join(' ')}`;
    onProgress?.({ kind: 'note', message });
  }
  return result;
}
