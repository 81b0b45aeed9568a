/** `--bos`: what stands in front of a prompt, in every command that takes one, and that it is recorded. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { readGraph } from '../../src/graph/files.ts';
import { goldenPath } from '../support/golden.ts';
import { expectRefusal } from './refusal.ts';
import { tracer } from './shared.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-bos-'));
afterAll(() => rmSync(folder, { recursive: true }));

const subject = (fixture: 'tiny-a' | 'families/llama' | 'families/qwen3', set: string): string[] => [
  ...['--model', goldenPath(fixture, 'model')],
  ...['--transcoders', goldenPath(fixture, 'transcoders', set), '--device', 'wasm'],
];
const TINY = subject('tiny-a', 'plt-jumprelu');
const LLAMA = subject('families/llama', 'plt-relu-skip');
const QWEN = subject('families/qwen3', 'plt-relu');

async function data<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const finished = await tracer([...args, '--json', '--quiet']);
  if (finished.exitCode !== 0) throw new Error(finished.stdout);
  return (JSON.parse(finished.stdout) as { data: T }).data;
}

async function ids(...args: string[]): Promise<number[]> {
  return (await data<{ tokens: { id: number }[] }>(...args)).tokens.map(({ id }) => id);
}

const COMMANDS: [string, string[]][] = [
  ['run', ['run']],
  ['generate', ['generate', '--max-new-tokens', '1']],
  ['intervene', ['intervene', '--set', '0:1:1=5']],
  ['intervene --sweep', ['intervene', '--sweep', '0:1:1=0..5/2']],
];

/** Of `Hello`, without BOS. */
const TEXT = [269, 283, 290, 290, 293];

describe.each(COMMANDS)('tracer %s', (_, [command, ...flags]) => {
  it('puts nothing in front on request, and says so', async () => {
    const found = await data<{ bos: string; tokens: { id: number }[] }>(
      ...[command!, 'Hello', ...flags, ...TINY, '--bos', 'none'],
    );
    expect(found.bos).toBe('none');
    expect(found.tokens.map(({ id }) => id).slice(0, TEXT.length)).toEqual(TEXT);
  });
});

describe('what stands in front', () => {
  it('is BOS, or a token that is named', async () => {
    const usual = await data<{ tokens: { id: number }[] }>('run', 'Hello', ...TINY);
    expect(usual.tokens.map(({ id }) => id)).toEqual([2, ...TEXT]);
    expect(usual).not.toHaveProperty('bos');
    expect(await ids('run', 'Hello', ...TINY, '--bos', '<start_of_turn>')).toEqual([5, ...TEXT]);
  });

  it('is what attribution reads in the families since Llama, also where a text begins with BOS', async () => {
    const once = await ids('run', '<|begin_of_text|>The cat', ...LLAMA);
    expect(await ids('generate', 'The cat', '--max-new-tokens', '1', ...LLAMA)).toEqual([
      ...once,
      expect.any(Number),
    ]);
  });

  it('is EOS with Qwen, which has no BOS', async () => {
    const [first] = await ids('run', 'The cat', ...QWEN);
    const [eos] = await ids('run', '<|endoftext|>The cat', ...QWEN);
    expect(first).toBe(eos);
  });
});

describe('tracer attribute --bos', () => {
  it('is recorded in the graph, and graphs of a list are made again when it changes', async () => {
    const list = path.join(folder, 'prompts.jsonl');
    writeFileSync(list, '{"slug":"one","prompt":"Hello, world!"}\n');
    const output = path.join(folder, 'graphs');
    const trace = async (...flags: string[]) =>
      await data<{ n_done: number; n_skipped: number }>(
        ...['attribute', '--prompts', list, '--output', output, '--max-feature-nodes', '8'],
        ...[...TINY, ...flags],
      );
    expect(await trace('--bos', 'none')).toMatchObject({ n_done: 1, n_skipped: 0 });
    expect(await trace('--bos', 'none')).toMatchObject({ n_done: 0, n_skipped: 1 });
    const graph = await readGraph(path.join(output, 'one.safetensors'));
    expect(graph.provenance.options).toMatchObject({ bos: 'none' });
    expect(graph.input_tokens[0]).not.toBe(2);
    expect(await trace()).toMatchObject({ n_done: 1, n_skipped: 0 });
    const again = await readGraph(path.join(output, 'one.safetensors'));
    expect([...again.input_tokens]).toEqual([2, ...graph.input_tokens]);
    expect(again.provenance.options).not.toHaveProperty('bos');
  });
});

describe('tracer features build --bos', () => {
  it('counts the tokens of windows without BOS', async () => {
    const corpus = path.join(folder, 'corpus.txt');
    writeFileSync(corpus, 'Hello, world! Hello, world!\nHello\n');
    const build = async (output: string, ...flags: string[]) =>
      await data<{ n_tokens: number; n_windows: number }>(
        ...[
          'features',
          'build',
          '--corpus',
          corpus,
          '--output',
          path.join(folder, output),
          '--layers',
          '0:1',
        ],
        ...[...TINY, ...flags],
      );
    const [usual, without] = [await build('usual'), await build('without', '--bos', 'none')];
    // The first position of a window is not counted, which is BOS, or a token of the text.
    expect(without.n_windows).toBe(usual.n_windows);
    expect(without.n_tokens).toBe(usual.n_tokens - usual.n_windows);
  });
});

describe('a --bos that is not one token', () => {
  it('is refused with how it splits', async () => {
    const finished = await tracer(['run', 'Hello', ...TINY, '--bos', 'two words', '--json']);
    expectRefusal(finished, 'run', {
      exitCode: 2,
      code: 'not_one_token',
      says: ['two words', '--bos'],
      next: 'auto',
    });
  });
});
