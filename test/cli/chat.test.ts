/** `--chat` on a model with a chat template: every command reads the template's tokens, and says so. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { goldenPath } from '../support/golden.ts';
import { readGraph } from '../../src/graph/files.ts';
import { readLines } from '../tokenizer/support.ts';
import { tracer } from './shared.ts';
import { envelope, type Finished } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-chat-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FAMILY = 'families/gemma3';
const SET = goldenPath(FAMILY, 'transcoders', 'plt-jumprelu');
const PROMPT = 'What is the capital of Texas?';
const SYSTEM = 'Be brief.';

interface Row {
  readonly template: string;
  readonly prompt: string;
  readonly system: string | null;
  readonly text: string;
  readonly ids: readonly number[];
}
const rows = readLines<Row>('reference-chat.jsonl').filter(({ template }) => template === 'gemma3');
const wrapped = (system: string | null) =>
  rows.find((row) => row.prompt === PROMPT && row.system === system)!;

function modelWith(template: string): string {
  const model = path.join(folder, template);
  cpSync(goldenPath(FAMILY, 'model'), model, { recursive: true });
  const text = readFileSync(path.join(import.meta.dirname, '../tokenizer/chat', `${template}.jinja`), 'utf8');
  writeFileSync(path.join(model, 'chat_template.jinja'), text);
  return model;
}

const model = modelWith('gemma3');

async function on(args: readonly string[], of = model): Promise<Finished> {
  return await tracer([...args, '--model', of, '--transcoders', SET, '--device', 'wasm', '--json']);
}

async function done(...args: string[]): Promise<{ data: Record<string, unknown>; stderr: string }> {
  const finished = await on(args);
  expect({ exitCode: finished.exitCode, error: envelope(finished).error }).toEqual({ exitCode: 0 });
  return { data: envelope(finished).data!, stderr: finished.stderr };
}

const idsOf = (tokens: unknown): number[] => (tokens as { id: number }[]).map(({ id }) => id);

describe.each([
  ['run', ['run']],
  ['generate', ['generate', '--max-new-tokens', '1']],
  ['intervene', ['intervene', '--set', '0:5:1=5']],
  ['intervene --sweep', ['intervene', '--sweep', '0:5:1=0..5/2']],
])('tracer %s --chat', (_, [command, ...flags]) => {
  it('reads the tokens of the template, shows them and records the system message', async () => {
    for (const system of [null, SYSTEM]) {
      const { ids } = wrapped(system);
      const asked = ['--chat', ...(system === null ? [] : ['--system', system])];
      const { data, stderr } = await done(command!, PROMPT, ...flags, ...asked);
      expect(idsOf(data['tokens']).slice(0, ids.length)).toEqual(ids);
      expect(data['chat']).toEqual({ system, text: wrapped(system).text });
      expect(data['notes']).toBeUndefined();
      expect(stderr).toContain(
        `the prompt in the chat template is ${ids.length} tokens: "<bos>" "<start_of_turn>" `,
      );
    }
  });

  it('is no different without it', async () => {
    const { data, stderr } = await done(command!, PROMPT, ...flags);
    expect(data['chat']).toBeUndefined();
    expect(stderr).not.toContain('chat template');
    expect(idsOf(data['tokens'])[1]).not.toBe(wrapped(null).ids[1]);
  });
});

it('cases of intervene --batch are wrapped, each with its tokens', async () => {
  const batch = path.join(folder, 'cases.jsonl');
  writeFileSync(batch, `${JSON.stringify({ prompt: PROMPT })}\n\n${JSON.stringify({ prompt: ' x ' })}\n`);
  const { data, stderr } = await done('intervene', '--batch', batch, '--chat', '--system', SYSTEM);
  const [first] = data['cases'] as { prompt: string; chat: object }[];
  expect(first).toMatchObject({ prompt: wrapped(SYSTEM).text, chat: { system: SYSTEM } });
  expect(stderr).toMatch(/line 1: the prompt in the chat template is .*\n.*line 3: the prompt in the chat/);
});

describe('tracer attribute --chat', () => {
  it('traces the wrapped prompt, and the graph says how it came about', async () => {
    const output = path.join(folder, 'graph.safetensors');
    const flags = ['--chat', '--system', SYSTEM, '--output', output, '--max-feature-nodes', '20'];
    const { data, stderr } = await done('attribute', PROMPT, ...flags);
    const { text, ids } = wrapped(SYSTEM);
    expect(data).toMatchObject({ prompt: text, n_tokens: ids.length, chat: { system: SYSTEM } });
    expect(stderr).toContain(`is ${ids.length} tokens: "<bos>"`);
    const { provenance, input_tokens } = await readGraph(output);
    expect([...input_tokens]).toEqual(ids);
    expect(provenance.prompt).toBe(text);
    expect(provenance.options).toMatchObject({ chat: true, system: SYSTEM });
  });

  it('--prompts: each is wrapped, and one that was made otherwise is made again', async () => {
    const prompts = path.join(folder, 'prompts.jsonl');
    writeFileSync(prompts, JSON.stringify({ slug: 'texas', prompt: PROMPT }));
    const flags = ['--prompts', prompts, '--output', path.join(folder, 'many'), '--max-feature-nodes', '20'];
    const made = async (...chat: string[]) => {
      const { data } = await done('attribute', ...flags, ...chat);
      return (data['prompts'] as { skipped: boolean; graph?: object }[])[0]!;
    };
    expect(await made('--chat')).toMatchObject({
      skipped: false,
      graph: { prompt: wrapped(null).text, chat: { system: null } },
    });
    expect(await made('--chat')).toMatchObject({ skipped: true });
    expect(await made('--chat', '--system', SYSTEM)).toMatchObject({ skipped: false });
    const plain = await made();
    expect(plain.skipped).toBe(false);
    expect(plain.graph).not.toHaveProperty('chat');
  });
});

describe('a chat that cannot be had is refused', () => {
  const refusal = async (args: string[], of?: string) => {
    const finished = await on(args, of);
    expect(finished.exitCode).toBe(2);
    return envelope(finished).error!;
  };

  it.each([
    ['run', ['run', PROMPT]],
    ['attribute', ['attribute', PROMPT]],
    ['attribute --prompts', ['attribute', '--prompts', 'prompts.jsonl', '--output', 'graphs']],
    ['intervene', ['intervene', PROMPT]],
    ['generate', ['generate', PROMPT]],
  ])('%s --system without --chat', async (_, args) => {
    expect(await refusal([...args, '--system', 'x'])).toMatchObject({
      code: 'system_without_chat',
      hint: 'Add --chat.',
    });
  });

  it.each(['run', 'attribute', 'intervene', 'generate'])('%s --chat with --tokens', async (command) => {
    expect(await refusal([command, '--tokens', '2,5', '--chat'])).toMatchObject({ code: 'chat_with_tokens' });
  });

  it('a case of token ids', async () => {
    const batch = path.join(folder, 'ids.jsonl');
    writeFileSync(batch, JSON.stringify({ tokens: [2, 5] }));
    expect(await refusal(['intervene', '--batch', batch, '--chat'])).toMatchObject({
      code: 'chat_with_tokens',
      message: `${batch}, line 1: --chat puts texts into the chat template, but this case gives token ids`,
    });
  });

  it('a checkpoint without a template, a template without a place for a system message', async () => {
    const without = goldenPath(FAMILY, 'model');
    expect(await refusal(['run', PROMPT, '--chat'], without)).toMatchObject({ code: 'no_chat_template' });
    const gemma2 = modelWith('gemma2');
    expect(await refusal(['run', PROMPT, '--chat', '--system', 'x'], gemma2)).toMatchObject({
      code: 'chat_without_system',
      message: expect.stringContaining('System role not supported') as unknown,
    });
  });
});
