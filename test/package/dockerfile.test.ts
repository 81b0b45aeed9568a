/** The Dockerfile names files, stages and commands that are there; no container engine is needed to see that. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { tracer } from '../cli/start.ts';

const ROOT = join(import.meta.dirname, '../..');

interface Step {
  readonly instruction: string;
  readonly text: string;
}

function steps(): Step[] {
  const lines = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').replaceAll('\\\n', ' ').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [instruction = '', ...words] = line.split(' ');
      return { instruction, text: words.join(' ') };
    });
}

const of = (wanted: string) => steps().filter(({ instruction }) => instruction === wanted);
const copies = of('COPY').map(({ text }) => text.split(' '));

describe('the Dockerfile', () => {
  it('copies files of the clone that are there and not ignored', () => {
    const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
    const sources = copies
      .filter(([first]) => !first!.startsWith('--from'))
      .flatMap((words) => words.slice(0, -1));
    expect(sources.length).toBeGreaterThan(8);
    expect(sources.filter((path) => !existsSync(join(ROOT, path)) || ignored.includes(path))).toEqual([]);
  });

  it('copies all that the package holds and the build reads', () => {
    const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };
    const packed = files.filter((path) => !path.startsWith('!')).map((path) => path.split('/')[0]!);
    const copied = copies.flatMap((words) => words.slice(0, -1));
    const needed = [
      ...packed.filter((path) => path !== 'dist'),
      'src',
      'page',
      'tsconfig.json',
      'vite.config.ts',
    ];
    expect(needed.filter((path) => !copied.includes(path))).toEqual([]);
  });

  it('takes files only from stages before', () => {
    const stages: string[] = [];
    for (const { instruction, text } of steps()) {
      const stage = /--from=(\S+)/.exec(text)?.[1];
      if (stage !== undefined) expect(stages).toContain(stage);
      if (instruction === 'FROM') stages.push(/ AS (\S+)$/.exec(text)?.[1] ?? '');
    }
    expect(stages).toEqual(['package', 'setup', '']);
  });

  it('calls tracer with options that it has', async () => {
    const calls = of('RUN').flatMap(({ text }) =>
      [...text.matchAll(/\btracer (setup [^;&]*)/g)].map(([, words]) => words!),
    );
    expect(calls.length).toBe(2);
    for (const call of calls) {
      const { exitCode, stdout } = await tracer([...call.trim().split(' '), '--help']);
      expect(exitCode).toBe(0);
      for (const option of call.match(/--[a-z-]+/g) ?? []) expect(stdout).toContain(option);
    }
  });
});
