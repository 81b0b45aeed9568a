import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOMS } from '../../eslint.config.js';
import { tracer } from '../cli/shared.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(path.join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-docs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lines `$ tracer …` of the blocks marked `console`: those that work offline on the embedded model. */
function commandsOf(page: string): string[] {
  const text = readFileSync(path.join(ROOT, page), 'utf8');
  const blocks = [...text.matchAll(/```console\n([\s\S]*?)```/g)].map((match) => match[1]!);
  return blocks.flatMap((block) => [...block.matchAll(/^\$ tracer (.*)$/gm)].map((match) => match[1]!));
}

/** Words of a command line with the shell's two kinds of quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3]!);
}

const pagesWithCommands = PAGES.filter((page) => commandsOf(page).length > 0);

describe('the documentation', () => {
  it.each(pagesWithCommands)('%s: every command works as it is written', async (page) => {
    for (const line of commandsOf(page)) {
      const { exitCode, stderr } = await tracer(words(line), { cwd: folder });
      expect({ line, exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({
        line,
        exitCode: 0,
        stderr: '',
      });
    }
  });

  it.each(PAGES)('%s: every link to a file leads somewhere', (page) => {
    const text = readFileSync(path.join(ROOT, page), 'utf8');
    const links = [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map((match) => match[1]!);
    const broken = links
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => !existsSync(path.join(ROOT, path.dirname(page), link)));
    expect(broken).toEqual([]);
  });
});

describe('the rooms of src/', () => {
  const folders = readdirSync(path.join(ROOT, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

  it('are its folders', () => {
    expect(folders.sort()).toEqual([...ROOMS].sort());
  });

  it.each(ROOMS)('%s: a README.md says what belongs in it', (room) => {
    const file = path.join(ROOT, 'src', room, 'README.md');
    expect(existsSync(file) ? readFileSync(file, 'utf8') : '').toMatch(/^# .+\n\n.+/);
  });

  it('are the rows of the table in docs/architecture.md, in the same order', () => {
    const page = readFileSync(path.join(ROOT, 'docs/architecture.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z]+)` /gm)].map((match) => match[1]!);
    expect(rows).toEqual(ROOMS);
  });
});
