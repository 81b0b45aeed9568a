/** Tokenizer, chat: the template of a checkpoint that makes a text of messages, found in its files and rendered (`jinja.ts`). */
import * as v from 'valibot';
import { UsageError } from '../errors.ts';
import type { ByteSource } from '../formats/byte-source.ts';
import { jsonObject } from '../formats/json-object.ts';
import { readJson } from '../formats/json.ts';
import { readText } from '../formats/parsed-text.ts';
import { messageOf } from '../formats/system-errors.ts';
import { parseTemplate } from './jinja.ts';
import type { RoleTokens } from './special-tokens.ts';

const JINJA_FILE = 'chat_template.jinja';
const CONFIG_FILE = 'tokenizer_config.json';
const JSON_FILE = 'chat_template.json';

/** Files of a checkpoint that hold nothing but its chat template. */
export const CHAT_FILES = [JINJA_FILE, JSON_FILE];

/** The largest templates known have 20 kB. */
const LARGEST_TEMPLATE_BYTES = 2 ** 20;

/** Of several templates, the one for a conversation without tools. */
const DEFAULT_NAME = 'default';

const NAMED = jsonObject({ name: v.string(), template: v.string() });
const Holder = jsonObject({ chat_template: v.nullish(v.union([v.string(), v.array(NAMED)])) });

/** As much of a folder of files as this needs. */
export interface ChatFiles {
  readonly name: string;
  has(path: string): boolean;
  open(path: string): Promise<ByteSource>;
}

export interface ChatTemplate {
  /** The file, for errors. */
  readonly file: string;
  readonly text: string;
}

export interface Messages {
  /** What the user says. */
  readonly prompt: string;
  readonly system?: string | undefined;
}

/**
 * The template, from the first file that has one, as in transformers: `chat_template.jinja` replaces the field of
 * `tokenizer_config.json`; `chat_template.json` belongs to processors of older checkpoints. Throws `UsageError` without one.
 */
export async function findChatTemplate(files: ChatFiles): Promise<ChatTemplate> {
  if (files.has(JINJA_FILE)) {
    using source = await files.open(JINJA_FILE);
    return { file: source.name, text: await readText(source, LARGEST_TEMPLATE_BYTES) };
  }
  for (const path of [CONFIG_FILE, JSON_FILE]) {
    if (!files.has(path)) continue;
    using source = await files.open(path);
    const { chat_template: found } = await readJson(source, Holder);
    if (typeof found === 'string') return { file: source.name, text: found };
    if (found) return { file: source.name, text: named(found, source.name) };
  }
  throw new UsageError({
    code: 'no_chat_template',
    message: `${files.name} has no chat template: none of ${JINJA_FILE}, ${CONFIG_FILE} (field chat_template) and ${JSON_FILE} holds one`,
    hint: 'Leave out --chat (base models have no template), name the instruct model, or put its chat_template.jinja into the folder.',
  });
}

function named(templates: readonly v.InferOutput<typeof NAMED>[], file: string): string {
  const found = templates.find(({ name }) => name === DEFAULT_NAME);
  if (found) return found.template;
  const names = templates.map(({ name }) => JSON.stringify(name)).join(', ') || 'none';
  throw new UsageError({
    code: 'no_chat_template',
    message: `${file}: field chat_template: expected a template called "${DEFAULT_NAME}", found ${names}`,
    hint: 'Leave out --chat, or give the template for conversations this name.',
  });
}

/**
 * The text of a conversation that the model is to answer. Throws `BadFileError` for what is no template, `UsageError` when it
 * fails, or leaves out a message.
 */
export async function renderChat(
  { file, text }: ChatTemplate,
  { prompt, system }: Messages,
  roleTokens: RoleTokens,
): Promise<string> {
  const template = await parseTemplate(text, file);
  const user = { role: 'user', content: prompt };
  const render = (messages: readonly object[]): Attempt =>
    attempt(() => template({ ...roleTokens, messages }));
  const alone = render([user]);
  const whole = system === undefined ? alone : render([{ role: 'system', content: system }, user]);

  if (whole.text === undefined) {
    if (alone.text === undefined) {
      throw new UsageError({
        code: 'chat_template_failed',
        message: `${file}: the chat template fails: ${whole.fault}`,
        hint: 'Leave out --chat, and give the text as the model expects it.',
      });
    }
    throw noSystem(`${file}: the chat template refuses a system message: ${whole.fault}`);
  }
  // Templates strip the space around a message.
  if (!whole.text.includes(prompt.trim())) {
    throw new UsageError({
      code: 'chat_template_failed',
      message: `${file}: the chat template leaves out the prompt, or changes it`,
      hint: 'Leave out --chat, and give the text as the model expects it.',
    });
  }
  if (system && whole.text === alone.text)
    throw noSystem(`${file}: the chat template leaves out a system message`);
  return whole.text;
}

type Attempt = { readonly text: string } | { readonly text: undefined; readonly fault: string };

function attempt(render: () => string): Attempt {
  try {
    return { text: render() };
  } catch (error) {
    return { text: undefined, fault: messageOf(error) };
  }
}

function noSystem(message: string): UsageError {
  return new UsageError({
    code: 'chat_without_system',
    message,
    hint: 'Leave out --system, and put its text at the beginning of the prompt.',
  });
}
