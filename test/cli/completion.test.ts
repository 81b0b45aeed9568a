import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { tracer } from './start.ts';

/** What bash offers after the words; the last one is being typed. */
function complete(script: string, words: readonly string[]): string[] {
  const quoted = words.map((word) => `'${word}'`).join(' ');
  const program = `${script}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _tracer; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['-c', program], { encoding: 'utf8' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout.split('\n').filter((line) => line !== '');
}

describe('completion in bash', () => {
  it('knows commands, flags of a command, choices, and leaves files to the shell', async () => {
    const { stdout, exitCode } = await tracer(['completion', 'bash']);
    expect(exitCode).toBe(0);
    expect(complete(stdout, ['tracer', 'con'])).toEqual(['configure']);
    expect(complete(stdout, ['tracer', 'run', '--expect'])).toEqual(['--expect', '--expect-prob']);
    expect(complete(stdout, ['tracer', 'run', '--device', ''])).toEqual([
      'auto',
      'cpu',
      'cuda',
      'webgpu',
      'wasm',
    ]);
    expect(complete(stdout, ['tracer', '--dtype', 'b'])).toEqual(['bfloat16']);
    expect(complete(stdout, ['tracer', 'completion', 'z'])).toEqual(['zsh']);
    expect(complete(stdout, ['tracer', 'run', '--prompt-file', ''])).toEqual([]);
    expect(complete(stdout, ['tracer', 'load', '--expect'])).toEqual([]);
  });
});

describe('completion in zsh and fish', () => {
  it('has every command with its description and every flag', async () => {
    const zsh = (await tracer(['completion', 'zsh'])).stdout;
    expect(zsh).toMatch(/^#compdef tracer\n/);
    expect(zsh).toContain("'run:run a prompt through the replacement model'");
    expect(zsh).toContain("'--prompt-file:");
    const fish = (await tracer(['completion', 'fish'])).stdout;
    expect(fish).toContain("-f -a run -d 'run a prompt through the replacement model'");
    expect(fish).toContain("'__fish_seen_subcommand_from run' -l device -x -a 'auto cpu cuda webgpu wasm'");
  });
});
