/** Requests that cannot be answered, given to the real binary: prompts, flags, places to write. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { goldenPath } from '../support/golden.ts';
import { scratchFolder, type Scratch } from '../support/scratch.ts';
import { refused, type CommandLine, type Refusal } from './refusal.ts';
import { tracer } from './shared.ts';
import { type StartOptions } from './start.ts';

const FIXTURE = ['--model', goldenPath('tiny-a', 'model'), '--transcoders', goldenPath('tiny-a', 'transcoders', 'plt-jumprelu'), '--device', 'wasm'] as const; // prettier-ignore
const PROMPT = 'The capital of the';

let scratch: Scratch;

beforeAll(() => {
  scratch = scratchFolder();
});

afterAll(() => {
  scratch[Symbol.dispose]();
});

const run = (...args: readonly string[]): CommandLine => ['run', ...args, ...FIXTURE];
const usage = (code: string, says: Refusal['says'], next: Refusal['next']): Refusal => ({
  exitCode: 2,
  code,
  says,
  next,
});

type Case = readonly [title: string, line: CommandLine, refusal: Refusal, options?: StartOptions];

function refuses(cases: readonly Case[]): void {
  // One argument behind the title: jest would take another one that a row lacks for its callback.
  it.each(cases.map(([title, ...rest]) => [title, rest] as const))('%s', (_, [line, refusal, options]) =>
    refused(scratch.path, line, refusal, options),
  );
}

describe('a prompt is refused', () => {
  const ids = (count: number): string => Array.from({ length: count }, () => 5).join();
  refuses([
    ['that is empty', run(''), usage('empty_prompt', ['the prompt is empty'], '--tokens')],
    ['that is empty on standard input', run('-'), usage('empty_prompt', ['standard input'], '--tokens')],
    ['that is missing', run(), usage('missing_prompt', ['prompt is missing'], '--prompt-file')],
    [
      'that is given twice',
      run(PROMPT, '--tokens', '2'),
      usage('several_prompts', ['--tokens'], 'all but one'),
    ],
    [
      'that is longer than the context',
      run('--tokens', ids(257)),
      usage('prompt_too_long', ['257 tokens', '256'], 'Shorten'),
    ],
    [
      'whose text is longer than the context',
      run('the '.repeat(2_000)),
      usage('prompt_too_long', [/\d{4} tokens/, '256'], 'Shorten'),
    ],
    [
      'with a token outside the vocabulary',
      run('--tokens', '2,560'),
      usage('token_out_of_range', ['token 560 at position 1', '560'], '0 to 559'),
    ],
    ['with a negative token', run('--tokens=-1'), usage('bad_value', ['--tokens', '-1'], '2,651')],
    [
      'with a token that is no number',
      run('--tokens', '2,x'),
      usage('bad_value', ['--tokens', '2,x'], '2,651'),
    ],
    ['with no token in the list', run('--tokens', ''), usage('bad_value', ['--tokens'], '2,651')],
    [
      'whose file is not there',
      run('--prompt-file', 'no/such/prompt.txt'),
      { exitCode: 3, code: 'prompt_file', says: ['--prompt-file', 'no/such/prompt.txt'], next: 'path' },
    ],
    [
      'that is not a text',
      run('-'),
      { exitCode: 4, code: 'not_utf8', says: ['standard input', 'UTF-8'], next: 'UTF-8' },
      { input: Buffer.from([0x54, 0xff, 0xfe]) },
    ],
  ]);
});

describe('a flag is refused', () => {
  refuses([
    ['--model with a preset that there is not', ['run', PROMPT, '--model', 'embeded'], { exitCode: 3, code: 'unknown_preset', says: ['embeded'], next: "'embedded'" }], // prettier-ignore
    ['--transcoders with a preset that there is not', ['run', PROMPT, '--transcoders', 'gema'], { exitCode: 3, code: 'unknown_preset', says: ['gema'], next: "'gemma'" }], // prettier-ignore
    ['--model with a file instead of a folder', ['load', '--model', goldenPath('tiny-a', 'model', 'config.json'), '--transcoders', FIXTURE[3]], { exitCode: 3, code: 'folder_not_found', says: ['config.json', 'is a file'], next: 'folder' }], // prettier-ignore
    [
      '--device of another kind',
      ['run', PROMPT, '--device', 'gpu'],
      usage('bad_setting', ['--device', 'gpu'], /cpu|cuda/),
    ],
    ['TRACER_DEVICE of another kind', ['run', PROMPT], usage('bad_setting', ['TRACER_DEVICE', 'wsam'], 'wasm'), { env: { TRACER_DEVICE: 'wsam' } }], // prettier-ignore
    ['--dtype of another kind', ['run', PROMPT, '--dtype', 'float16'], usage('bad_setting', ['--dtype', 'float16'], /float32|bfloat16/)], // prettier-ignore
    ['--names with a hook that there is not', run(PROMPT, '--save-activations', 'a.safetensors', '--names', 'blocks.0.hook_mlp_uot'), usage('unknown_hook', ['blocks.0.hook_mlp_uot', '4 layers'], "'blocks.0.hook_mlp_out'")], // prettier-ignore
    ['--names without a file', run(PROMPT, '--names', 'logits'), usage('names_without_file', ['--save-activations'], '--save-activations FILE')], // prettier-ignore
    ['--expect with a text of several tokens', run(PROMPT, '--expect', ' the capital of'), usage('not_one_token', ['" the capital of"', /is \d tokens/], 'Token ids')], // prettier-ignore
    ['--expect with nothing', run(PROMPT, '--expect', ''), usage('not_one_token', ['""', '0 tokens'], /./)],
    [
      '--expect-prob above 1',
      run(PROMPT, '--expect-prob', '1.5'),
      usage('bad_value', ['--expect-prob', '1.5'], '0.5'),
    ],
    [
      '--features below 0',
      run(PROMPT, '--features=-1'),
      usage('bad_value', ['--features', '-1'], '--features 5'),
    ],
    ['--max-memory that is no size', run(PROMPT, '--max-memory', 'lots'), usage('bad_setting', ['--max-memory', 'lots'], 'GiB')], // prettier-ignore
    ['--layer outside the model', ['inspect', '--layer', '4', ...FIXTURE], usage('out_of_range', ['--layer', '4'], '0 to 3')], // prettier-ignore
    ['--feature outside the set', ['inspect', '--layer', '0', '--feature', '128', ...FIXTURE], usage('out_of_range', ['--feature', '128'], '0 to 127')], // prettier-ignore
    ['--weights with a pattern that matches nothing', ['inspect', '--weights', 'blocks.0.attn.W_X', ...FIXTURE], usage('unknown_weight', ['blocks.0.attn.W_X'], 'blocks.0.attn.W_')], // prettier-ignore
    ['--revision of a folder', ['load', '--revision', 'v2', ...FIXTURE], usage('revision_of_folder', ['--revision', 'v2'], /./)], // prettier-ignore
  ]);

  it('and the same words are told to people on standard error alone', async () => {
    const { exitCode, stdout, stderr } = await tracer(['run', PROMPT, '--model', 'embeded']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
    expect(stderr).toMatch(/embeded[^]*Did you mean 'embedded'\?/);
  });
});

describe('a place to write to', () => {
  const OLD = 'what was there before';

  /** A file that must survive, in a folder of its own. */
  function oldFile(name: string): { folder: string; file: string } {
    const folder = join(scratch.path, name);
    mkdirSync(folder);
    const file = join(folder, 'out.safetensors');
    writeFileSync(file, OLD);
    return { folder, file };
  }

  it('that lies below a file is refused', async () => {
    const { folder, file } = oldFile('below');
    await refused(folder, run(PROMPT, '--save-activations', join(file, 'a.safetensors')), {
      exitCode: 5,
      code: 'not_writable',
      says: [join(file, 'a.safetensors')],
      next: 'folder',
    });
  });

  it('that is a folder is refused', async () => {
    const { folder } = oldFile('folder');
    await refused(folder, run(PROMPT, '--save-features', folder), usage('is_a_folder', [folder], 'file'));
  });

  it('on a full device is refused', async () => {
    const refusal = { exitCode: 5, code: 'disk_full', says: ['/dev/full', 'full'], next: 'disk space' };
    await refused(scratch.path, run(PROMPT, '--save-activations', '/dev/full'), refusal);
  });

  it('where only half of a file fits keeps the file that was there, and no other', async () => {
    const { folder, file } = oldFile('full');
    const refusal = { exitCode: 5, code: 'disk_full', says: [file, 'limit'], next: 'disk space' };
    await refused(folder, run(PROMPT, '--save-activations', file), refusal, { largestFileBytes: 20_000 });
    expect(readdirSync(folder)).toEqual(['out.safetensors']);
    expect(readFileSync(file, 'utf8')).toBe(OLD);
  });

  it('is not touched when an expectation is not met before there is a result', async () => {
    const { folder, file } = oldFile('too long');
    const refusal = usage('prompt_too_long', [], /./);
    const tokens = Array.from({ length: 300 }, () => 5).join();
    await refused(folder, run('--tokens', tokens, '--save-activations', file), refusal);
  });

  it('for settings that is no folder is refused', async () => {
    const { folder, file } = oldFile('settings');
    mkdirSync(join(folder, 'tracer.config.json'));
    const finished = await tracer(['configure', ...FIXTURE, '--save', '--json'], { cwd: folder });
    expect([2, 4]).toContain(finished.exitCode);
    expect(existsSync(file)).toBe(true);
  });

  it('that is standard output and full is told on standard error', async () => {
    const child = await tracer(['inspect', ...FIXTURE, '--json'], { stdoutFile: '/dev/full' });
    expect(child.exitCode).toBe(5);
    expect(child.stderr).toMatch(/standard output[^]*disk space/);
    expect(child.stderr).not.toMatch(/^\s+at /m);
  });
});
