/** Pages followed from beginning to end: files that they show are written, commands are run, outputs are compared. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { tracer } from '../cli/shared.ts';
import { finish } from '../cli/start.ts';

const PAGES = [
  { page: 'tour.md', least: 9, nFiles: 1 },
  { page: 'evaluate.md', least: 1, nFiles: 1 },
  { page: 'attention.md', least: 7, nFiles: 0 },
  { page: 'study.md', least: 10, nFiles: 1 },
  { page: 'report.md', least: 3, nFiles: 0 },
];

interface Command {
  readonly line: string;
  readonly program: string;
  readonly args: string[];
  /** Where its output goes, with `> FILE`. */
  readonly into: string | undefined;
  readonly output: string[];
  readonly exitCode: number;
}

/** Files shown as "`name`:" and a block; commands (`$ tracer …`, `$ node …`) of blocks marked `shell-session`, each followed by its output. */
function contentOf(page: string): { files: { name: string; text: string }[]; commands: Command[] } {
  const content = readFileSync(path.join(import.meta.dirname, '../../docs', page), 'utf8');
  const files = [...content.matchAll(/`([\w-]+\.(?:jsonl?|txt|mjs))`:\n\n```\w+\n([\s\S]*?)```/g)].map(
    (match) => ({
      name: match[1]!,
      text: match[2]!,
    }),
  );
  const commands = [...content.matchAll(/```shell-session\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    block!
      .split(/^(?=\$ (?:tracer|node) )/m)
      .filter((part) => part.startsWith('$ '))
      .map((part): Command => {
        const [first, ...rest] = part.trimEnd().split('\n');
        const asked = rest.indexOf('$ echo $?');
        const [, line, into] = /^\$ (.*?)(?: > ([\w.-]+))?$/.exec(first!)!;
        const [program, ...args] = words(line!);
        return {
          ...{ line: line!, program: program!, args, into },
          output: (asked < 0 ? rest : rest.slice(0, asked)).filter((text) => text.trim() !== ''),
          exitCode: asked < 0 ? 0 : Number(rest[asked + 1]),
        };
      }),
  );
  return { files, commands };
}

function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3]!);
}

/** Devices add in another order: numbers may differ in their last shown digits. */
const TOLERANCE = 0.02;
const NUMBER = /-?\d+(?:\.\d+)?(?:e-?\d+)?/g;

function isSame(shown: string, found: string): boolean {
  const plain = (text: string): string => text.replace(NUMBER, '#').replace(/\s+/g, ' ').trim();
  if (plain(shown) !== plain(found)) return false;
  const numbers = (text: string): number[] => (text.match(NUMBER) ?? []).map(Number);
  const said = numbers(shown);
  return numbers(found).every(
    (value, i) => Math.abs(value - said[i]!) <= TOLERANCE * Math.max(1, Math.abs(said[i]!)),
  );
}

describe.each(PAGES)('docs/$page', ({ page, least, nFiles }) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tracer-page-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const { files, commands } = contentOf(page);

  it('shows commands, their outputs, and files', () => {
    expect(commands.length).toBeGreaterThanOrEqual(least);
    expect(files.length).toBeGreaterThanOrEqual(nFiles);
    for (const { name, text } of files) writeFileSync(path.join(folder, name), text);
  });

  it.each(commands)('$line', async ({ program, args, into, output, exitCode }) => {
    const result =
      program === 'node'
        ? await finish(spawn(process.execPath, args, { cwd: folder }))
        : await tracer(args, { cwd: folder });
    if (into !== undefined) writeFileSync(path.join(folder, into), result.stdout);
    expect({ exitCode: result.exitCode, stderr: exitCode === result.exitCode ? '' : result.stderr }).toEqual({
      exitCode,
      stderr: '',
    });
    // Lines shown stand in the output in this order; `…` stands for lines left out.
    const found = result.stdout.split('\n');
    let from = 0;
    for (const shown of output.filter((text) => text.trim() !== '…')) {
      const at = found.findIndex((text, i) => i >= from && isSame(shown, text));
      expect({ shown, found: at < 0 ? result.stdout : shown }).toEqual({ shown, found: shown });
      from = at + 1;
    }
  });
});
