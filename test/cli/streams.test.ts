import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { openSync, closeSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BINARY, envelope, finish, start, tracer } from './start.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tracer-streams-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

const RUN = ['run', 'Hello, world!', '--device', 'wasm'];
const ESCAPE = '\x1b';

/** A command that is still there this long after Ctrl-C did not notice it. */
const STUBBORN_MS = 10_000;

describe('standard output and standard error', () => {
  it('hold the result and the progress, one line a phase, without colours off a terminal', async () => {
    const { exitCode, stdout, stderr } = await tracer(RUN);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Most likely next tokens');
    expect(stdout + stderr).not.toContain(ESCAPE);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(1);
    expect(new Set(lines).size).toBe(lines.length);
    expect(stdout).not.toContain(lines[0]);
  });

  it('have colours when they are forced, and not with --no-color', async () => {
    const env = { FORCE_COLOR: '1' };
    expect((await tracer(RUN, { env })).stdout).toContain(ESCAPE);
    expect((await tracer([...RUN, '--no-color'], { env })).stdout).not.toContain(ESCAPE);
  });

  it('hold nothing but the result with --quiet, and one document with --json', async () => {
    const quiet = await tracer([...RUN, '--quiet', '--json']);
    expect(quiet.stderr).toBe('');
    expect(quiet.stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(envelope(quiet)).toMatchObject({ schema_version: 1, command: 'run' });
  });

  it('say with --verbose where settings came from', async () => {
    const { stderr } = await tracer(['inspect', '--verbose'], { env: { TRACER_MODEL: 'embedded' } });
    expect(stderr).toContain('model is embedded, from TRACER_MODEL');
  });
});

describe('a reader that goes away', () => {
  it('is no error', async () => {
    const child = start(['completion', 'zsh']);
    child.stdout?.destroy();
    const { exitCode, stderr } = await finish(child);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  it('is no error for errors either', async () => {
    const child = start(['rnu']);
    child.stderr?.destroy();
    expect((await finish(child)).exitCode).toBe(2);
  });
});

const fullDisk = existsSync('/dev/full') ? it : it.skip;

describe('a full disk', () => {
  fullDisk('under standard output exits with 5', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [BINARY, '--help'], { stdio: ['ignore', full, 'pipe'] });
    const { exitCode, stderr } = await finish(child);
    closeSync(full);
    expect(exitCode).toBe(5);
    expect(stderr).toContain('standard output');
  });
});

describe('a prompt', () => {
  async function idsOf(args: readonly string[], input?: string | Buffer): Promise<unknown> {
    const finished = await tracer(
      ['run', '--device', 'wasm', '--json', ...args],
      input === undefined ? {} : { input },
    );
    expect(finished.exitCode).toBe(0);
    return (envelope(finished).data?.['tokens'] as { id: number }[]).map((token) => token.id);
  }

  it('is the same from the argument, standard input, a file and as tokens', async () => {
    const text = ' Two  words\n';
    const file = join(folder, 'prompt.txt');
    await writeFile(file, text);
    const ids = (await idsOf([text])) as number[];
    expect(ids.length).toBeGreaterThan(3);
    expect(await idsOf(['-'], text)).toEqual(ids);
    expect(await idsOf(['--prompt-file', file])).toEqual(ids);
    expect(await idsOf(['--tokens', ids.join(',')])).toEqual(ids);
    expect(await idsOf([text.trimEnd()])).not.toEqual(ids);
  });

  it('that cannot be read names its file', async () => {
    const missing = await tracer(['run', '--prompt-file', join(folder, 'none.txt')]);
    expect(missing.exitCode).toBe(3);
    expect(missing.stderr).toContain(join(folder, 'none.txt'));
    const binary = await tracer(['run', '-'], { input: Buffer.from([0xff, 0xfe, 0x00]) });
    expect(binary.exitCode).toBe(4);
    expect(binary.stderr).toContain('UTF-8');
  });
});

describe('Ctrl-C and SIGTERM', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s while waiting for a prompt exits with %d', async (signal, code) => {
    const child = start(['run', '-', '--verbose', '--device', 'wasm'], { env: { TRACER_MODEL: 'embedded' } });
    // The note about the model is written just before standard input is read.
    child.stderr?.once('data', () => setTimeout(() => child.kill(signal), 200));
    const { exitCode, stderr } = await finish(child);
    expect(exitCode).toBe(code);
    expect(stderr).toContain(`stopped by ${signal}`);
  });

  it('in the middle of the work leave no file behind, and answer in JSON', async () => {
    const saved = join(folder, 'saved');
    const args = [
      ...RUN,
      '--json',
      '--repeat',
      '1000000',
      '--save-activations',
      join(saved, 'a.safetensors'),
    ];
    const child = start(args);
    let seen = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const before = seen.includes('Running');
      seen += text;
      if (before || !seen.includes('Running')) return;
      setTimeout(() => child.kill('SIGINT'), 200);
      // One that does not listen is not left running.
      setTimeout(() => child.kill('SIGKILL'), STUBBORN_MS).unref();
    });
    const finished = await finish(child);
    expect(finished.exitCode).toBe(130);
    expect(envelope(finished)).toMatchObject({ command: 'run', error: { code: 'interrupted' } });
    expect(existsSync(saved) ? await readdir(saved) : []).toEqual([]);
  });
});
