import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { IS_FULL } from '../support/golden.ts';
import { tracer } from './shared.ts';
import { BINARY, envelope, finish, startsOfNode } from './start.ts';

const COMMANDS = ['load', 'configure', 'run', 'inspect', 'setup', 'doctor', 'completion'];
const SHARED = [
  '--model', '--transcoders', '--revision', '--device', '--dtype', '--cache-dir', '--offline', '--max-memory',
  '--json', '--quiet', '--verbose', '--no-color',
]; // prettier-ignore

/** In starts of Node alone. It takes 1.0. */
const LONGEST_START = 2.5;

describe('help and version', () => {
  it('list all commands and shared options on standard output', async () => {
    const { exitCode, stdout, stderr } = await tracer(['--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const name of [...COMMANDS, ...SHARED]) expect(stdout).toContain(name);
  });

  it.each(COMMANDS)('of %s show the options that all commands share', async (command) => {
    const { exitCode, stdout } = await tracer([command, '--help']);
    expect(exitCode).toBe(0);
    for (const flag of SHARED) expect(stdout).toContain(flag);
  });

  it('name the version of the package', async () => {
    const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
    const { stdout, exitCode } = await tracer(['--version']);
    expect({ stdout, exitCode }).toEqual({
      stdout: `${(JSON.parse(text) as { version: string }).version}\n`,
      exitCode: 0,
    });
  });

  it('take little more than Node itself: 0.1 s where that starts in 0.04 s', async () => {
    expect(await startsOfNode(['--help'], LONGEST_START)).toBeLessThan(LONGEST_START);
  });
});

describe('a mistake in the line', () => {
  it.each([
    [['rnu'], "unknown command 'rnu'", "Did you mean 'run'?"],
    [['run', 'x', '--featurs', '3'], "unknown option '--featurs'", "Did you mean '--features'?"],
    [['inspect', '--modle', 'x'], "unknown option '--modle'", "Did you mean '--model'?"],
    [['completion', 'bahs'], "'bahs' is invalid", "Did you mean 'bash'?"],
    [
      ['run', 'x', '--device', 'cudaa'],
      '--device: expected auto, cpu, cuda, cuda:N, webgpu or wasm, found "cudaa"',
      "Did you mean 'cuda'?",
    ],
    [['run', 'x', '--dtype', 'int8'], '--dtype: expected float32 or bfloat16, found "int8"', 'Give float32'],
    [['run', 'x', '--top', '-1'], '--top', 'Write it as --top'],
    [['run', 'x', '--expect-prob', '2'], '--expect-prob: expected a probability from 0 to 1', '0.5'],
    [['run', '--tokens', '2,x'], '--tokens: expected token ids', '--tokens 2,651,18'],
    [['run', 'x', '--max-memory', '8 apples'], '--max-memory: expected a size', 'such as 8GiB'],
    [['run'], 'a prompt is missing', '--prompt-file'],
    [['run', ''], 'the prompt is empty', 'at least one character'],
    [['run', 'x', '--tokens', '2'], 'a prompt and --tokens', 'Leave out all but one'],
    [['run', 'x', 'y'], 'too many arguments', 'tracer run --help'],
    [['run', 'x', '--names', '*'], '--save-activations', 'Add --save-activations FILE'],
    [['inspect', '--feature', '3'], '--feature needs the layer', '--layer 0 --feature 3'],
    [['inspect', '--layer', '1', '--hooks'], '--layer and --hooks', "--hooks 'blocks.3.*'"],
    [
      ['attribute', 'x', '--output', '-'],
      "--output: expected the name of a file or folder, found '-'",
      './-',
    ],
    [['graph', 'export', 'x', '--format', 'svg', '--output', '-'], '--output: expected the name', './-'],
    [
      ['graph', 'suggest', 'x', '--output', ''],
      "--output: expected the name of a file or folder, found ''",
      'variable',
    ],
    [['mcp', '--folder', ''], "--folder: expected the name of a file or folder, found ''", 'variable'],
    [['run', 'x', '--save-features', '-'], '--save-features: expected the name', './-'],
    [['features', 'labels', '--export', '-'], '--export: expected the name', './-'],
    [['graph', 'suggest', ''], 'the name of a file is empty', 'variable'],
    [
      ['report', 'x', '--circuit', ''],
      "--circuit: expected suggested, annotated or a file, found ''",
      'variable',
    ],
    [['report', ''], 'the name of a file is empty', 'variable'],
    [['setup', '--device', 'wasm'], '--device wasm needs no setup', '--device cpu'],
    [['help', 'nope'], 'unknown command', 'tracer --help'],
    [[], 'a command is missing', 'tracer --help'],
  ])('%j exits with 2, names what is wrong and the next step', async (args, message, hint) => {
    const { exitCode, stdout, stderr } = await tracer(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    const lines = stderr.split('\n');
    expect(lines[0]).toContain(message);
    expect(lines[0]).toMatch(/^error: /);
    expect(lines[1]).toContain(hint);
    expect(lines[1]).toMatch(/^hint: /);
  });

  describe.each(['run', 'attribute', 'generate', 'intervene'])('in a prompt of %s', (command) => {
    const hyphens = ['-5 + 3 =', '- item', '-- item', '--foo bar baz', '-x and y', '---', '-5a', '-é', '-\n'];
    it.each(IS_FULL || command === 'run' ? hyphens : hyphens.slice(0, 1))(
      'that begins with a hyphen is answered with what to put in front: %j',
      async (prompt) => {
        const finished = await tracer([command, prompt, '--json']);
        expect(finished.exitCode).toBe(2);
        const { code, message, hint } = envelope(finished).error!;
        expect({ code, message }).toEqual({ code: 'unknown_option', message: `unknown option '${prompt}'` });
        expect(hint).toBe(
          `A prompt that begins with '-' needs \`--\` in front, behind all flags: tracer ${command} -- "-1 + 1 =".`,
        );
      },
    );

    it.each(['--foo', '--foo=5', '--frobnicate'])(
      'that is a flag in form is not taken for a prompt: %s',
      async (flag) => {
        const { message, hint } = envelope(await tracer([command, 'Hi', flag, '--json'])).error!;
        expect(message).toBe(`unknown option '${flag}'`);
        expect(hint).toBe(`See \`tracer ${command} --help\`.`);
      },
    );

    it.each(['-x', '--foo=bar baz'])(
      'that may be a flag or a prompt is answered for both: %s',
      async (prompt) => {
        const { hint } = envelope(await tracer([command, prompt, '--json'])).error!;
        expect(hint).toMatch(
          /^A prompt that begins with '-' needs `--` in front.* See `tracer \w+ --help`\.$/,
        );
      },
    );

    it('that is a flag in quotes with its value is answered for both', async () => {
      const { hint } = envelope(await tracer([command, '--tokens 2', '--json'])).error!;
      expect(hint).toMatch(/^A prompt .*`--`.* Did you mean '--tokens'\?$/);
    });

    it('that is a mistyped flag keeps its hint', async () => {
      const { hint } = envelope(await tracer([command, 'x', '--tokes', '2', '--json'])).error!;
      expect(hint).toBe("Did you mean '--tokens'?");
    });
  });

  it('with a hyphen is a prompt behind --', async () => {
    const prompts = ['-5 + 3 =', '- item', '--foo', '-x'];
    for (const prompt of prompts) {
      const finished = await tracer(['run', '--quiet', '--json', '--', prompt]);
      const tokens = envelope(finished).data!['tokens'] as { text: string }[];
      expect(tokens.map(({ text }) => text).join('')).toBe(`<bos>${prompt}`);
    }
  });

  it('of a command without a prompt has nothing to do with prompts', async () => {
    const { hint } = envelope(await tracer(['inspect', '-5 + 3 =', '--json'])).error!;
    expect(hint).toBe('See `tracer inspect --help`.');
  });

  it.each([
    [['run', '--json', '--tpo', '3', 'x'], 'run', 'unknown_option'],
    [['--json', 'rnu'], 'tracer', 'unknown_command'],
    [['inspect', '--json', '--layer', 'one'], 'inspect', 'bad_value'],
    [['run', '--json'], 'run', 'missing_prompt'],
    [['completion', '--json'], 'completion', 'missing_argument'],
  ])('%j is answered with one JSON document', async (args, command, code) => {
    const finished = await tracer(args);
    expect(finished.exitCode).toBe(2);
    expect(finished.stderr).toBe('');
    expect(envelope(finished)).toMatchObject({ schema_version: 1, command, error: { code } });
    expect(envelope(finished)).not.toHaveProperty('data');
  });

  it('is not looked for in JSON when --json is part of the prompt', async () => {
    const { stdout, stderr, exitCode } = await tracer(['run', '--device', 'no', '--', '--json']);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toContain('--device');
  });
});

describe('shared options', () => {
  it('may stand in front of the command', async () => {
    const finished = await tracer(['--json', 'completion', 'bash']);
    expect(finished.exitCode).toBe(0);
    expect(envelope(finished)).toMatchObject({ command: 'completion', data: { shell: 'bash' } });
  });
});

describe('a clone that was not built', () => {
  it('says in one line what to do', async () => {
    const clone = await mkdtemp(join(tmpdir(), 'tracer-clone-'));
    await mkdir(join(clone, 'bin'));
    await copyFile(BINARY, join(clone, 'bin', 'tracer.js'));
    await writeFile(join(clone, 'package.json'), '{"type":"module"}');
    const finished = await finish(spawn(process.execPath, [join(clone, 'bin', 'tracer.js'), '--help']));
    await rm(clone, { recursive: true });
    expect(finished).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'error: tracer is not built yet: run `npm run build`\n',
    });
  });
});
