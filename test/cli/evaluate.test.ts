import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { goldenPath, IS_FULL } from '../support/golden.ts';
import { tracer } from './shared.ts';
import { envelope, finish, start, type StartOptions } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-evaluate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const env = { XDG_CACHE_HOME: path.join(folder, 'cache'), TMPDIR: path.join(folder) };
const SUBJECT = [
  ...['--model', goldenPath('tiny-a', 'model'), '--device', 'wasm'],
  ...['--transcoders', goldenPath('tiny-a', 'transcoders', 'plt-jumprelu')],
];
const LINES = Array.from({ length: 12 }, (_, i) => `The capital of the state ${i} is number ${i * i}.`);
const TEXT = `${LINES.join('\n')}\n`;
const CORPUS = path.join(folder, 'corpus.txt');
writeFileSync(CORPUS, TEXT);
const JSONL = LINES.map((text) => `${JSON.stringify({ text })}\n`).join('');

const evaluate = (args: readonly string[], options: StartOptions = {}) =>
  tracer(['evaluate', ...args, ...SUBJECT], { env, ...options });
const LONG_TEST_MS = 120_000;

describe('tracer evaluate', () => {
  it('shows a table, and the same numbers as JSON', async () => {
    const text = await evaluate(['--corpus', CORPUS]);
    expect({ exitCode: text.exitCode, stderr: text.stderr }).toMatchObject({ exitCode: 0 });
    const json = await evaluate(['--corpus', CORPUS, '--json']);
    const { command, data } = envelope(json);
    expect(command).toBe('evaluate');
    expect(data).toMatchObject({ n_documents: 12, corpus: [CORPUS] });
    const layers = data!['layers'] as Record<string, number>[];
    expect(Object.keys(layers[0]!)).toEqual(
      expect.arrayContaining([
        'layer',
        'explained_variance',
        'cosine',
        'l0',
        'never_active_share',
        'ce_recovered',
        'kl',
      ]),
    );
    expect(Object.keys(data!['all'] as object).sort()).toEqual(
      ['ce_clean', 'ce_mean_ablated', 'ce_recovered', 'ce_replaced', 'kl'].sort(),
    );
    for (const { layer, explained_variance } of layers) {
      const shown = Number(explained_variance!.toPrecision(4));
      expect(text.stdout).toMatch(new RegExp(`^ *${layer} +${shown} `, 'm'));
    }
  });

  it('reads a corpus from standard input, text or JSON Lines, and leaves no file behind', async () => {
    const numbers = async (args: readonly string[], options: StartOptions = {}) => {
      const { data } = envelope(await evaluate([...args, '--json', '--layers', 'none'], options));
      return { layers: data!['layers'], all: data!['all'] };
    };
    const expected = await numbers(['--corpus', CORPUS]);
    expect(await numbers(['--corpus', '-'], { input: TEXT })).toEqual(expected);
    expect(await numbers(['--corpus', '-'], { input: JSONL })).toEqual(expected);
    expect(readdirSync(folder).filter((name) => name.startsWith('tracer-corpus-'))).toEqual([]);
  });

  it.each([
    [
      ['--corpus', CORPUS, '--layers', '0-1,3', '--expect-explained-variance', '0.99'],
      6,
      /layer \d: explained variance is 0\.\d+/,
    ],
    [['--corpus', CORPUS, '--layers', '5-2'], 2, /--layers: expected layers such as 0-5,9/],
    [['--corpus', CORPUS, '--layers', '9'], 2, /no layer 9/],
    [['--corpus', CORPUS, '--tokens', '0'], 2, /--tokens/],
    [['--corpus', path.join(folder, 'nothing.txt')], 3, /nothing\.txt/],
    [[], 2, /--corpus/],
  ] as const)('%j ends with %d', async (args, exitCode, words) => {
    const found = await evaluate(args);
    expect({ exitCode: found.exitCode, stdout: found.stdout }).toEqual({ exitCode, stdout: '' });
    expect(found.stderr).toMatch(words);
  });

  it(
    'that is killed at once goes on with --resume to the same numbers',
    async () => {
      const corpus = path.join(folder, 'long.txt');
      writeFileSync(corpus, TEXT.repeat(IS_FULL ? 40 : 14));
      const args = ['evaluate', '--corpus', corpus, '--json', ...SUBJECT];
      const measured = ({ layers, all }: Record<string, unknown>) => ({ layers, all });
      const whole = envelope(
        await tracer(args, { env: { ...env, XDG_CACHE_HOME: path.join(folder, 'other') } }),
      );
      const child = start(args, { env });
      const finished = finish(child);
      const states = path.join(folder, 'cache/tracer/evaluations');
      const isSaved = (): boolean =>
        existsSync(states) && readdirSync(states).some((name) => name.endsWith('.safetensors'));
      while (!isSaved() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 10));
      child.kill('SIGKILL');
      await finished;
      const { data } = envelope(await tracer([...args, '--resume'], { env }));
      expect(data!['n_resumed_tokens']).toBeGreaterThan(0);
      expect(measured(data!)).toEqual(measured(whole.data!));
      expect(readdirSync(states)).toEqual([]);
    },
    LONG_TEST_MS,
  );
});
