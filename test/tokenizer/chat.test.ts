import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { BadFileError, UsageError } from '../../src/errors.ts';
import { openFileSource } from '../../src/formats/byte-source.ts';
import { findChatTemplate, renderChat, type ChatFiles } from '../../src/tokenizer/chat-template.ts';
import { parseTemplate } from '../../src/tokenizer/jinja.ts';
import { timeText } from '../../src/tokenizer/time-text.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { scratchFolder } from '../support/scratch.ts';
import { familyFiles, readLines, type Family } from './support.ts';

interface Row {
  readonly template: string;
  readonly family: Family;
  readonly prompt: string;
  readonly system: string | null;
  readonly text?: string;
  readonly ids?: readonly number[];
  readonly error?: string;
}

const rows = readLines<Row>('reference-chat.jsonl');
const templates = [...new Set(rows.map(({ template }) => template))];

function templateOf(name: string) {
  const file = path.join(import.meta.dirname, 'chat', `${name}.jinja`);
  return { file, text: readFileSync(file, 'utf8') };
}

describe.each(templates)('a template in the manner of %s', (name) => {
  const own = rows.filter(({ template }) => template === name);

  it('makes the text and the tokens that transformers makes', async () => {
    const tokenizer = await loadTokenizer(familyFiles(own[0]!.family));
    expect(own.length).toBeGreaterThan(40);
    for (const { prompt, system, text, ids, error } of own) {
      const made = renderChat(
        templateOf(name),
        { prompt, system: system ?? undefined },
        tokenizer.roleTokens,
      );
      if (text === undefined) await expect(made).rejects.toThrow(error!);
      else {
        expect(await made).toBe(text);
        expect(tokenizer.promptIds(text, 'unless_special_first')).toEqual(ids);
      }
    }
  });
});

const GEMMA = { bos_token: '<bos>', eos_token: '<eos>' };
const render = (text: string, system?: string) =>
  renderChat({ file: 'some.jinja', text }, { prompt: ' Hi ', system }, GEMMA);

describe('a template that names the day', () => {
  it('does so in English, whatever the language of the user', async () => {
    const before = process.env['LC_ALL'];
    process.env['LC_ALL'] = 'de_DE.UTF-8';
    try {
      const text = await render(`{{ strftime_now('%d %b %Y') }} {{ messages[0].content }}`);
      const months = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec';
      expect(text).toMatch(new RegExp(`^\\d\\d (?:${months}) \\d{4} `));
    } finally {
      if (before === undefined) delete process.env['LC_ALL'];
      else process.env['LC_ALL'] = before;
    }
    const time = new Date(2026, 2, 5, 0, 7, 9);
    expect(timeText(time, '%Y-%m-%d %y %B %b %A %a %H:%I:%M:%S %p 100%%')).toBe(
      '2026-03-05 26 March Mar Thursday Thu 00:12:07:09 AM 100%',
    );
  });
});

describe('a template that does not take the messages', () => {
  it.each([
    [
      'refuses a system message',
      `{{ raise_exception('No system role') if messages[0].role == 'system' }}{{ messages[0].content }}`,
      'Be brief.',
      'chat_without_system',
      'some.jinja: the chat template refuses a system message: No system role',
    ],
    [
      'leaves out a system message',
      `{{ messages[-1].content }}`,
      'Be brief.',
      'chat_without_system',
      'some.jinja: the chat template leaves out a system message',
    ],
    [
      'fails',
      `{{ raise_exception('Tools only') }}`,
      undefined,
      'chat_template_failed',
      'some.jinja: the chat template fails: Tools only',
    ],
    [
      'fails, with a system message that would not be to blame',
      `{{ raise_exception('Tools only') }}`,
      'Be brief.',
      'chat_template_failed',
      'some.jinja: the chat template fails: Tools only',
    ],
    [
      'calls what is not there',
      `{{ messages[0].content | shuffle }}`,
      undefined,
      'chat_template_failed',
      'some.jinja: the chat template fails: Unknown',
    ],
    [
      'loops without an end',
      `{% for i in range(1000000000) %}{{ i }}{% endfor %}`,
      undefined,
      'chat_template_failed',
      'some.jinja: the chat template fails: range of 1000000000 numbers',
    ],
    [
      'asks for a time in a way that is not known',
      `{{ strftime_now('%Q') }}{{ messages[0].content }}`,
      undefined,
      'chat_template_failed',
      'some.jinja: the chat template fails: strftime_now: %Q is not known',
    ],
    [
      'leaves out the prompt',
      `{{ bos_token }}{{ messages[0].content | upper }}`,
      undefined,
      'chat_template_failed',
      'some.jinja: the chat template leaves out the prompt, or changes it',
    ],
  ])('one that %s is refused', async (_, text, system, code, message) => {
    const error = await render(text, system).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as unknown });
    expect((error as UsageError).hint).toMatch(/Leave out/);
  });

  it.each([
    ['{% for message in messages %}{{ message.content }}', 'it ends within a statement'],
    ['{% for message in %}{{ message.content }}{% endfor %}', 'Unexpected token'],
    ['{{ messages[0].content', ''],
  ])('a text that is no template is a damaged file: %s', async (text, why) => {
    const error = await render(text).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(BadFileError);
    expect(error).toMatchObject({
      code: 'chat_template_syntax',
      message: expect.stringContaining(`some.jinja: the chat template is not one: ${why}`) as unknown,
    });
  });

  it.each([
    ['{% set r = range(90000) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}', 'more than 0.2 s'],
    ["{% set n = namespace(s='aa') %}{% for i in range(25) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}", 'it writes 67108864 characters'], // prettier-ignore
  ])('one that takes or writes too much is given up: %s', async (text, why) => {
    const template = await parseTemplate(text, 'some.jinja', 200);
    expect(() => template({})).toThrow(why);
  });

  it('gives the texts of the declared tokens, and the date, to those that ask', async () => {
    expect(await render('{{ bos_token }}{{ messages[0].content }}{{ eos_token }}')).toBe('<bos> Hi <eos>');
    expect(await render('{{ messages[0].content }}{{ cls_token is defined }}')).toBe(' Hi false');
    const year = new Date().getFullYear();
    expect(await render(`{{ messages[0].content }}{{ strftime_now('%Y') }}`)).toBe(` Hi ${year}`);
    expect(await render(`{% if tools %}no{% endif %}{{ messages[0].content }}`)).toBe(' Hi ');
  });
});

describe('the template of a checkpoint', () => {
  const scratch = scratchFolder();
  afterAll(() => scratch[Symbol.dispose]());
  let count = 0;

  function files(contents: Readonly<Record<string, string | object>>): ChatFiles {
    const folder = path.join(scratch.path, String(count++));
    mkdirSync(folder);
    for (const [name, content] of Object.entries(contents))
      writeFileSync(path.join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
    return {
      name: 'my-model',
      has: (name) => name in contents,
      open: (name) => openFileSource(path.join(folder, name)),
    };
  }
  const config = (chat_template: unknown) => ({ 'tokenizer_config.json': { chat_template } });
  const jinja = { 'chat_template.jinja': 'of jinja' };
  const json = { 'chat_template.json': { chat_template: 'of json' } };

  it.each([
    ['the field of tokenizer_config.json', config('of config'), 'of config'],
    [
      'a list with one called default',
      config([
        { name: 'rag', template: 'r' },
        { name: 'default', template: 'd' },
      ]),
      'd',
    ],
    ['chat_template.jinja alone', jinja, 'of jinja'],
    ['chat_template.json alone', json, 'of json'],
    ['chat_template.jinja before the others', { ...config('of config'), ...jinja, ...json }, 'of jinja'],
    ['tokenizer_config.json before chat_template.json', { ...config('of config'), ...json }, 'of config'],
    ['chat_template.json where the field is null', { ...config(null), ...json }, 'of json'],
  ])('is found: %s', async (_, contents, expected) => {
    expect((await findChatTemplate(files(contents))).text).toBe(expected);
  });

  it.each([
    ['no file', {}, /^my-model has no chat template: none of chat_template\.jinja, /],
    ['no field', config(undefined), /^my-model has no chat template/],
    [
      'other names only',
      config([{ name: 'rag', template: 'r' }]),
      /expected a template called "default", found "rag"/,
    ],
    ['an empty list', config([]), /expected a template called "default", found none/],
  ])('is missed by name: %s', async (_, contents, message) => {
    const found = findChatTemplate(files(contents));
    await expect(found).rejects.toBeInstanceOf(UsageError);
    await expect(found).rejects.toMatchObject({
      code: 'no_chat_template',
      message: expect.stringMatching(message) as unknown,
      hint: expect.stringMatching(/^Leave out --chat/) as unknown,
    });
  });

  it('is refused where it is no text', async () => {
    await expect(findChatTemplate(files(config(7)))).rejects.toMatchObject({ code: 'bad_field' });
  });
});
