import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readGraph } from '../../src/graph/files.ts';
import { POINTER } from '../formats/saved-instead.ts';
import { goldenPath } from '../support/golden.ts';
import { tracer } from './shared.ts';
import { envelope, type Finished } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-prompts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SUBJECT = [
  ...['--model', goldenPath('tiny-a', 'model')],
  ...['--transcoders', goldenPath('tiny-a', 'transcoders', 'plt-jumprelu')],
  ...['--device', 'wasm', '--max-feature-nodes', '20', '--json'],
];

interface Listed {
  readonly n_done: number;
  readonly n_skipped: number;
  readonly n_failed: number;
  readonly prompts: readonly {
    readonly slug: string | null;
    readonly ok: boolean;
    readonly skipped?: boolean;
    readonly error?: { readonly code: string; readonly message: string };
  }[];
}

function list(name: string, ...lines: (object | string)[]): string {
  const file = path.join(folder, name);
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
  writeFileSync(file, `${text.join('\n')}\n`);
  return file;
}

async function prompts(file: string, ...args: string[]): Promise<Finished & { data: Listed }> {
  const finished = await tracer(['attribute', '--prompts', file, ...SUBJECT, ...args]);
  return { ...finished, data: envelope(finished).data as unknown as Listed };
}

const GOOD = [
  { slug: 'one', prompt: 'Hello there' },
  { slug: 'two', prompt: 'The capital of the' },
];

describe('tracer attribute --prompts', () => {
  it('writes a graph for each and does not make again what is finished', async () => {
    const file = list('good.jsonl', ...GOOD);
    const output = path.join(folder, 'graphs');
    const graphDir = path.join(folder, 'viewer');
    const args = ['--output', output, '--graph-dir', graphDir];
    const first = await prompts(file, ...args);
    expect(first.exitCode).toBe(0);
    expect(first.data).toMatchObject({ n_done: 2, n_skipped: 0, n_failed: 0 });
    expect(readdirSync(output).sort()).toEqual(['manifest.jsonl', 'one.safetensors', 'two.safetensors']);
    expect(readdirSync(graphDir).sort()).toEqual(['graph-metadata.json', 'one.json', 'two.json']);
    expect((await readGraph(path.join(output, 'one.safetensors'))).provenance.prompt).toBe(
      '<bos>Hello there',
    );
    expect(first.stderr.match(/Reading the model/g)).toHaveLength(1);
    expect(first.stderr).toContain('one (1 of 2)');

    const written = statSync(path.join(output, 'one.safetensors')).mtimeMs;
    const second = await prompts(file, ...args);
    expect(second.exitCode).toBe(0);
    expect(second.data).toMatchObject({ n_done: 0, n_skipped: 2, n_failed: 0 });
    expect(second.data.prompts.map(({ slug, ok, skipped }) => ({ slug, ok, skipped }))).toEqual([
      { slug: 'one', ok: true, skipped: true },
      { slug: 'two', ok: true, skipped: true },
    ]);
    expect(statSync(path.join(output, 'one.safetensors')).mtimeMs).toBe(written);

    // What is missing, damaged, or of another prompt is made again; the rest is not.
    rmSync(path.join(graphDir, 'two.json'));
    const changed = list('changed.jsonl', { slug: 'one', prompt: 'Hello here' }, GOOD[1]!);
    expect((await prompts(changed, ...args)).data).toMatchObject({ n_done: 2, n_skipped: 0 });
    writeFileSync(path.join(output, 'one.safetensors'), 'damaged');
    expect((await prompts(changed, ...args)).data).toMatchObject({ n_done: 1, n_skipped: 1 });
    // So is everything when the options are others.
    const others = await prompts(changed, ...args, '--max-feature-nodes', '10');
    expect(others.data).toMatchObject({ n_done: 2, n_skipped: 0 });
  });

  it('gives every slug files of its own, in all scripts', async () => {
    const slugs = [
      '苹果',
      '香蕉',
      'किताब',
      'कीताब',
      'caf\u00e9',
      'cafe\u0301',
      'Dallas',
      'dallas',
      'a b',
      'a-b',
      '🍎',
      '🍌',
    ];
    const file = list('scripts.jsonl', ...slugs.map((slug) => ({ slug, prompt: `Hi ${slug}` })));
    const [output, graphDir] = [path.join(folder, 'scripts'), path.join(folder, 'scripts-viewer')];
    const args = ['--output', output, '--graph-dir', graphDir];
    const first = await prompts(file, ...args);
    expect(first.exitCode).toBe(0);
    expect(first.data).toMatchObject({ n_done: slugs.length, n_failed: 0 });
    expect(first.data.prompts.map(({ slug }) => slug)).toEqual(slugs);
    const names = readdirSync(output)
      .filter((name) => name !== 'manifest.jsonl')
      .map((name) => path.parse(name).name);
    // On a disk that tells neither case nor composition apart they are as many.
    expect(new Set(names.map((name) => name.normalize('NFD').toLowerCase())).size).toBe(slugs.length);
    for (const own of ['苹果', '香蕉', 'किताब', 'कीताब', 'caf\u00e9', 'Dallas', 'a-b'])
      expect(names).toContain(own);
    const metadata = readFileSync(path.join(graphDir, 'graph-metadata.json'), 'utf8');
    const { graphs } = JSON.parse(metadata) as { graphs: { slug: string; prompt: string }[] };
    expect(graphs.map(({ prompt }) => prompt)).toEqual(slugs.map((slug) => `<bos>Hi ${slug}`));
    for (const { slug } of graphs) {
      expect(slug).toMatch(/^[a-zA-Z0-9_.-]+$/);
      expect(existsSync(path.join(graphDir, `${slug}.json`))).toBe(true);
    }
    expect((await prompts(file, ...args)).data).toMatchObject({ n_done: 0, n_skipped: slugs.length });
  });

  it.each([
    ['a Git LFS pointer', POINTER],
    ['an HTML page', '<!DOCTYPE html>\n<html>\n<body>Sign in</body>\n</html>\n'],
  ])('has one error for %s under the name of the list', async (what, content) => {
    const file = path.join(folder, 'saved.jsonl');
    writeFileSync(file, content);
    const finished = await prompts(file, '--output', path.join(folder, 'saved'));
    expect(finished.exitCode).toBe(4);
    const { error } = envelope(finished);
    expect(error).toMatchObject({ code: 'unknown_format' });
    expect(error!.message).toBe(`${file} is ${what}; expected one JSON object a line`);
  });

  it('does the good prompts of a list that begins as a page does', async () => {
    const file = list('begins.jsonl', '<html>', GOOD[0]!);
    const { data, exitCode } = await prompts(file, '--output', path.join(folder, 'begins'));
    expect(exitCode).toBe(4);
    expect(data.prompts.map(({ slug, ok }) => [slug, ok])).toEqual([
      [null, false],
      ['one', true],
    ]);
  });

  it('tells what is wrong with a prompt, goes on, and exits with the code of the first', async () => {
    const file = list(
      'bad.jsonl',
      GOOD[0]!,
      { slug: 'empty', prompt: '' },
      'not JSON',
      { slug: 'no-prompt' },
      '',
      { slug: 'one', prompt: 'again' },
      { slug: '..', prompt: 'nowhere' },
      { slug: 'long', prompt: 'word '.repeat(300) },
      GOOD[1]!,
    );
    const { data, exitCode, stderr } = await prompts(file, '--graph-dir', path.join(folder, 'bad'));
    expect(exitCode).toBe(2);
    expect(data).toMatchObject({ n_done: 2, n_skipped: 0, n_failed: 6 });
    expect(data.prompts.map(({ slug, error }) => [slug, error?.code])).toEqual([
      ['one', undefined],
      ['empty', 'empty_prompt'],
      [null, 'json_syntax'],
      [null, 'bad_field'],
      ['one', 'duplicate_slug'],
      ['..', 'bad_slug'],
      ['long', 'prompt_too_long'],
      ['two', undefined],
    ]);
    expect(data.prompts[2]!.error!.message).toContain('bad.jsonl, line 3');
    expect(stderr).toContain('empty (1 of 8)');
    expect(readdirSync(path.join(folder, 'bad')).sort()).toEqual([
      'graph-metadata.json',
      'manifest.jsonl',
      'one.json',
      'two.json',
    ]);
    const metadata = readFileSync(path.join(folder, 'bad', 'graph-metadata.json'), 'utf8');
    expect((JSON.parse(metadata) as { graphs: unknown[] }).graphs).toHaveLength(2);
  });

  it('shows a table to people', async () => {
    const file = list('table.jsonl', GOOD[0]!, { slug: 'empty', prompt: '' });
    const args = ['attribute', '--prompts', file, ...SUBJECT.filter((arg) => arg !== '--json'), '--quiet'];
    const { stdout, exitCode } = await tracer([...args, '--output', path.join(folder, 'table')]);
    expect(exitCode).toBe(2);
    expect(stdout).toMatch(/one\s+\d+\s+0\.\d+/);
    expect(stdout).toContain('empty');
  });

  it('refuses a list that is missing or has no prompt', async () => {
    const output = ['--output', path.join(folder, 'none')];
    const missing = await prompts(path.join(folder, 'missing.jsonl'), ...output);
    expect(missing.exitCode).toBe(3);
    const empty = await prompts(list('empty.jsonl', '', ''), ...output);
    expect(empty.exitCode).toBe(2);
    expect(envelope(empty).error?.code).toBe('no_prompts');
  });
});
