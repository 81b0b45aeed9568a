/** A training that was killed at any moment and resumed writes the same bytes as one that was not. */
import { describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../../src/random.ts';
import { tracer } from '../cli/shared.ts';
import { finish, start, type StartOptions } from '../cli/start.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { goldenPath, IS_FULL } from '../support/golden.ts';

const MODEL = goldenPath('tiny-a', 'model');
const WORDS = ['to', 'the', 'of', 'and', 'in', 'is', 'that', 'for', 'it', 'as'];
/** Deaths of a training, at different places of it. */
const KILLED_AFTER_STEPS = IS_FULL ? [1, 9, 30] : [9];

const folder = mkdtempSync(join(tmpdir(), 'tracer-train-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const corpus = join(folder, 'corpus.txt');
const random = new Random(4);
const sentence = (): string =>
  Array.from({ length: 4 + random.below(40) }, () => random.pick(WORDS)).join(' ');
writeFileSync(corpus, Array.from({ length: 300 }, () => `${sentence()}\n`).join(''));

function args(output: string, more: readonly string[]): string[] {
  const options = {
    '--model': MODEL,
    '--corpus': corpus,
    '--output': output,
    '--context': '16',
    '--batch-tokens': '64',
    '--tokens': IS_FULL ? '4000' : '2500',
    '--features': '48',
    '--k': '4',
    '--shuffle': '32',
    '--evaluate-every': '1000',
    '--checkpoint-every': '0',
    '--device': TEST_DEVICES[0]!,
  };
  return ['train', ...Object.entries(options).flat(), ...more];
}

async function train(output: string, more: readonly string[], options: StartOptions = {}) {
  return await tracer(args(output, more), options);
}

/** Starts it, and kills it when it has logged so many steps. */
async function killedAfter(steps: number, output: string, more: readonly string[]): Promise<void> {
  const child = start(args(output, more));
  const ended = finish(child);
  const timer = setInterval(() => {
    if (countSteps(output) >= steps) child.kill('SIGKILL');
  }, 2);
  await ended;
  clearInterval(timer);
}

function countSteps(output: string): number {
  return existsSync(join(output, 'train.jsonl'))
    ? logOf(output).filter(({ event }) => event === 'step').length
    : 0;
}

/** Complete lines of the log. */
function logOf(output: string): Record<string, unknown>[] {
  const lines = readFileSync(join(output, 'train.jsonl'), 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Without what differs from run to run: times, and that it was resumed. */
function events(output: string): unknown[] {
  return logOf(output)
    .filter(({ event }) => event !== 'resume')
    .map(({ time: _time, tokens_per_second: _speed, ...event }) => event);
}

function bytesOf(output: string): Record<string, string> {
  const names = readdirSync(output).filter((name) => name !== 'train.jsonl');
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(output, name)).toString('base64')] as const),
  );
}

const RECIPES: readonly (readonly [string, readonly string[]])[] = [
  ['per layer, TopK', ['--activation', 'topk', '--skip']],
  [
    'per layer, JumpReLU, in bfloat16',
    ['--activation', 'jumprelu', '--optimizer', 'signum', '--dtype', 'bfloat16'],
  ],
  ['across layers, BatchTopK', ['--kind', 'cross-layer', '--activation', 'batchtopk']],
  ['per layer, ReLU, documents apart', ['--activation', 'relu', '--no-packing', '--epochs', '3']],
  ['per layer, from a store', ['--epochs', '2', '--store', 'STORE']],
];

describe.each(IS_FULL ? RECIPES : RECIPES.slice(1, 2))('A training that is killed (%s)', (name, options) => {
  it('ends with the same files', async () => {
    const [whole, killed] = ['whole', 'killed'].map((run) =>
      join(folder, name.replaceAll(/\W+/g, '-'), run, 'set'),
    );
    const given = (output: string): string[] =>
      options.map((option) => (option === 'STORE' ? join(output, '..', 'store') : option));
    const first = await train(whole!, given(whole!));
    expect([first.exitCode, first.stderr]).toEqual([0, expect.any(String)]);
    for (const [i, steps] of KILLED_AFTER_STEPS.entries())
      await killedAfter(steps, killed!, i === 0 ? given(killed!) : [...given(killed!), '--resume']);
    expect(existsSync(join(killed!, 'config.yaml'))).toBe(false);
    const last = await train(killed!, [...given(killed!), '--resume']);
    expect([last.exitCode, last.stderr]).toEqual([0, expect.any(String)]);
    expect(logOf(killed!).some(({ event }) => event === 'resume')).toBe(true);
    expect(events(killed!)).toEqual(events(whole!));
    expect(bytesOf(killed!)).toEqual(bytesOf(whole!));
    expect(readdirSync(killed!)).not.toContain('.train');
  }, 180_000);
});

describe('A training that cannot go on', () => {
  it('names a full disk, and is resumed when there is room', async () => {
    const [whole, full] = ['room', 'full'].map((run) => join(folder, run, 'set'));
    await train(whole!, []);
    await killedAfter(9, full!, []);
    const stopped = await train(full!, ['--resume'], { largestFileBytes: 20_000 });
    expect([stopped.exitCode, stopped.stderr]).toEqual([5, expect.stringContaining(full!)]);
    const resumed = await train(full!, ['--resume']);
    expect([resumed.exitCode, resumed.stderr]).toEqual([0, expect.any(String)]);
    expect(bytesOf(full!)).toEqual(bytesOf(whole!));
  }, 120_000);

  it('names the layer and the step at which the loss is not finite', async () => {
    const output = join(folder, 'diverged');
    const { exitCode, stderr } = await train(output, ['--lr', '1e30', '--warmup', '0']);
    expect([exitCode, stderr]).toEqual([
      4,
      expect.stringMatching(/layer 0: the loss is (?:NaN|Infinity) at step \d/),
    ]);
    expect(readdirSync(output)).not.toContain('config.yaml');
  });

  it('refuses to begin anew in its folder, and to go on with other options', async () => {
    const output = join(folder, 'other');
    await killedAfter(3, output, []);
    const anew = await train(output, []);
    expect([anew.exitCode, anew.stderr]).toEqual([2, expect.stringContaining('--resume')]);
    const other = await train(output, ['--resume', '--seed', '7']);
    expect([other.exitCode, other.stderr]).toEqual([4, expect.stringMatching(/seed is \d+, expected 7/)]);
    expect((await train(output, ['--resume'])).exitCode).toBe(0);
    const again = await train(output, []);
    expect([again.exitCode, again.stderr]).toEqual([2, expect.stringContaining('holds a set already')]);
  }, 60_000);

  it('says that the corpus ended, and writes the set', async () => {
    const output = join(folder, 'short');
    const { exitCode, stdout, stderr } = await train(output, ['--tokens', '1000000', '--json']);
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('The corpus ended after')]);
    const { data } = JSON.parse(stdout) as { data: { corpus_ended: boolean; n_tokens: number } };
    expect(data.corpus_ended).toBe(true);
    expect(data.n_tokens).toBeGreaterThan(4000);
    expect(readdirSync(output)).toEqual(expect.arrayContaining(['config.yaml', 'layer_0.safetensors']));
  }, 60_000);
});
