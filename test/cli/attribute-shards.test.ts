/** Parts of a list of prompts, all started at once into one folder: every graph once, as one process writes them. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { IS_FULL } from '../support/golden.ts';
import { envelope, finish, start, type Finished } from './start.ts';

const N_PROMPTS = IS_FULL ? 2000 : 24;
const N_PARTS = IS_FULL ? 8 : 3;
const LONG_TEST_MS = IS_FULL ? 1_800_000 : 180_000;

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-shards-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CITIES = ['Dallas', 'Oakland', 'Miami', 'Chicago', 'Seattle', 'Boston', 'Denver', 'Phoenix'];
const list = path.join(folder, 'prompts.jsonl');
const rows = Array.from({ length: N_PROMPTS }, (_, i) => ({
  slug: `p${String(i).padStart(4, '0')}`,
  prompt: `Fact: the capital of the state containing ${CITIES[i % CITIES.length]} is`,
  group: i % 2 === 0 ? 'even' : 'odd',
}));
writeFileSync(list, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

const args = (output: string, ...more: string[]): string[] => [
  ...['attribute', '--prompts', list, '--output', output, '--json', ...more],
];

/** Bytes of each graph without the time at which it was made. */
function graphsIn(output: string): Map<string, string> {
  const names = readdirSync(output).filter((name) => name.endsWith('.safetensors'));
  const text = (name: string): string => readFileSync(path.join(output, name)).toString('latin1');
  return new Map(names.sort().map((name) => [name, text(name).replace(/\\"created\\":\\"[^\\]*\\"/, '')]));
}

function entriesIn(output: string): object[] {
  const names = readdirSync(output).filter((name) => name.startsWith('manifest'));
  const lines = names.flatMap((name) =>
    readFileSync(path.join(output, name), 'utf8').split('\n').slice(0, -1),
  );
  return lines.sort().map((line) => JSON.parse(line) as object);
}

/** Until a part has written a graph. */
async function hasBegun(output: string, part: number): Promise<void> {
  const manifest = path.join(output, `manifest-${part}-of-${N_PARTS}.jsonl`);
  while (!existsSync(manifest) || !readFileSync(manifest, 'utf8').includes('\n'))
    await new Promise((wake) => setTimeout(wake, 5));
}

describe('parts of a list that are traced at once', () => {
  it(
    'write every graph once, also when one of them is killed and started again',
    async () => {
      const [parts, whole] = [path.join(folder, 'parts'), path.join(folder, 'whole')];
      const part = (i: number): string[] => args(parts, '--shard', `${i}/${N_PARTS}`);
      const children = Array.from({ length: N_PARTS }, (_, i) => start(part(i + 1)));
      const ends = children.map(finish);
      await hasBegun(parts, 2);
      children[1]!.kill('SIGKILL');
      const [, killed, ...others] = await Promise.all(ends);
      expect(killed!.exitCode).toBeNull();
      expect(others.map(({ exitCode }) => exitCode)).toEqual(others.map(() => 0));
      const again: Finished = await finish(start(part(2)));
      expect([again.exitCode, envelope(again).data]).toEqual([0, expect.objectContaining({ n_failed: 0 })]);
      expect(envelope(again).data!['n_skipped']).toBeGreaterThan(0);

      expect((await finish(start(args(whole)))).exitCode).toBe(0);
      const [found, expected] = [graphsIn(parts), graphsIn(whole)];
      expect(expected.size).toBe(N_PROMPTS);
      expect([...found.keys()]).toEqual([...expected.keys()]);
      expect(
        [...expected].filter(([name, bytes]) => found.get(name) !== bytes).map(([name]) => name),
      ).toEqual([]);
      expect(entriesIn(parts)).toEqual(entriesIn(whole));
      expect(readdirSync(parts).length).toBe(N_PROMPTS + N_PARTS);
    },
    LONG_TEST_MS,
  );
});
