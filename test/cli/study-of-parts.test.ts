/** A list of prompts in parts that run at once, one of them killed and started again, against one process: the same study. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { IS_FULL } from '../support/golden.ts';
import { tracer } from './shared.ts';
import { envelope, finish, start } from './start.ts';

/** Half a minute a thousand graphs on two busy cores, and each list is traced twice. */
const N_PROMPTS = IS_FULL ? 2000 : 40;
const N_PARTS = IS_FULL ? 8 : 3;
/** The killed part has written so many graphs by then. */
const BEFORE_KILL = IS_FULL ? 40 : 2;
const POLL_MS = 50;
const LONGEST_MS = 1_800_000;
const TABLES = ['graphs', 'nodes', 'edges', 'features'];

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-parts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface State {
  readonly name: string;
  readonly capital: string;
  readonly cities: readonly string[];
}

function writeList(): string {
  const facts = readFileSync(path.join(import.meta.dirname, '../../training/facts.json'), 'utf8');
  const { states } = JSON.parse(facts) as { states: State[] };
  const templates = ['', 'Fact: '].flatMap((start) =>
    [
      'the capital of the state containing',
      'the state containing',
      'the capital city of the state containing',
      'the name of the state containing',
    ].map(
      (words) => (city: string) => `${start}${start === '' ? words.replace(/^t/, 'T') : words} ${city} is`,
    ),
  );
  const prompts = states.flatMap(({ name, cities }) =>
    cities.flatMap((city) =>
      templates.map((template, i) => ({ state: name, template: i, prompt: template(city) })),
    ),
  );
  const lines = prompts.slice(0, N_PROMPTS).map((one, i) => JSON.stringify({ slug: `p${i}`, ...one }));
  expect(lines).toHaveLength(N_PROMPTS);
  const file = path.join(folder, 'list.jsonl');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

const list = writeList();
const attribute = (output: string, ...args: string[]): string[] => [
  ...['attribute', '--prompts', list, '--output', output, '--store', 'nodes', '--device', 'wasm'],
  ...['--json', '--quiet', ...args],
];

async function collected(from: string, to: string) {
  const answer = await tracer(['graph', 'collect', from, '--output', to, '--json'], { cwd: folder });
  expect(answer.exitCode).toBe(0);
  return envelope(answer).data!;
}

describe('a study of parts', () => {
  it(
    'is that of one process, byte for byte, also when a part was killed and started again',
    async () => {
      const parts = path.join(folder, 'parts');
      const shard = (part: number): string[] => attribute(parts, '--shard', `${part}/${N_PARTS}`);
      const running = Array.from({ length: N_PARTS }, (_, i) => start(shard(i + 1)));
      for (const child of running) child.stdin?.end();
      const finished = running.map(finish);
      const manifest = path.join(parts, `manifest-1-of-${N_PARTS}.jsonl`);
      const nWritten = (): number =>
        existsSync(manifest) ? readFileSync(manifest, 'utf8').split('\n').length - 1 : 0;
      while (nWritten() < BEFORE_KILL) await wait(POLL_MS);
      running[0]!.kill('SIGKILL');
      expect((await finished[0]!).exitCode).toBeNull();
      const again = await tracer(shard(1));
      expect(again.exitCode).toBe(0);
      expect(envelope(again).data!['n_skipped']).toBeGreaterThanOrEqual(BEFORE_KILL);
      for (const { exitCode } of await Promise.all(finished.slice(1))) expect(exitCode).toBe(0);

      const whole = path.join(folder, 'whole');
      expect((await tracer(attribute(whole))).exitCode).toBe(0);
      const ofParts = await collected('parts', 'study-of-parts');
      const ofOne = await collected('whole', 'study');
      expect(ofParts).toMatchObject({ n_graphs: N_PROMPTS, skipped: [] });
      expect(ofParts['n_edges']).toBe(ofOne['n_edges']);
      for (const name of [...TABLES.map((table) => `${table}.parquet`), 'study.json']) {
        const read = (study: string): Buffer => readFileSync(path.join(folder, study, name));
        expect({ name, same: read('study-of-parts').equals(read('study')) }).toEqual({ name, same: true });
      }
    },
    LONGEST_MS,
  );
});
