/** `intervene --prompts`: the same change in every prompt of a list, and its table beside a study. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { intervenePrompts } from '../../src/engine/intervene/prompts.ts';
import { madeFolder, randomPrompts } from '../study/made-graphs.ts';
import { tracer } from './shared.ts';
import { envelope } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-intervene-prompts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CITIES = ['Dallas', 'Houston', 'Lubbock', 'Oakland', 'Miami'];
const rows = CITIES.map((city, i) => ({
  ...{ slug: `prompt-${i}`, prompt: `The capital of the state containing ${city} is`, city, constructor: i },
}));
writeFileSync(path.join(folder, 'list.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
/** What cities of Texas have there for what those of California have. */
const CHANGE = [
  ...['1:-2:56', '1:-2:392', '1:-2:452', '1:-2:455'].flatMap((feature) => ['--ablate', feature]),
  ...['1:-2:191=4.3', '1:-2:681=4.3'].flatMap((change) => ['--set', change]),
];
const intervene = (...args: string[]) =>
  tracer(['intervene', ...args, '--model', 'embedded', '--device', 'wasm'], { cwd: folder });

interface Listed {
  readonly n_done: number;
  readonly n_failed: number;
  readonly n_changed: number;
  readonly prompts: readonly {
    readonly slug: string;
    readonly ok: boolean;
    readonly before: {
      readonly text: string;
      readonly probability_before: number;
      readonly probability_after: number;
    };
    readonly after: { readonly text: string };
    readonly kl_divergence: number;
    readonly error?: { readonly code: string };
  }[];
}

const dataOf = (finished: Parameters<typeof envelope>[0]): Listed =>
  envelope(finished).data as unknown as Listed;

describe('tracer intervene --prompts', () => {
  it('gives for each prompt what intervene gives for it', async () => {
    const all = dataOf(await intervene('--prompts', 'list.jsonl', ...CHANGE, '--json'));
    expect(all).toMatchObject({ n_done: CITIES.length, n_failed: 0 });
    for (const [i, { prompt, slug }] of rows.entries()) {
      const one = envelope(await intervene(prompt, ...CHANGE, '--features', '0', '--json')).data!;
      const found = all.prompts[i]!;
      expect([found.slug, found.ok]).toEqual([slug, true]);
      expect(found).toMatchObject({ baseline: one['baseline'], top: one['top'] });
      expect(found.kl_divergence).toBeCloseTo(one['kl_divergence'] as number, 6);
    }
    const answers = all.prompts.map(({ before, after }) => [before.text, after.text]);
    expect(answers.slice(0, 3)).toEqual(CITIES.slice(0, 3).map(() => [' Austin', ' Sacramento']));
    expect(answers[3]).toEqual([' Sacramento', ' Sacramento']);
    const changed = all.prompts.filter(({ before, after }) => before.text !== after.text);
    expect(all.n_changed).toBe(changed.length);
  });

  it('writes a table with the columns of the list, which a query joins to a study', async () => {
    await madeFolder(path.join(folder, 'graphs'), randomPrompts(CITIES.length, 1));
    expect(
      (await tracer(['graph', 'collect', 'graphs', '--output', 'study'], { cwd: folder })).exitCode,
    ).toBe(0);
    const table = ['--output', 'study/off.parquet'];
    const shown = await intervene('--prompts', 'list.jsonl', ...CHANGE, ...table);
    expect({ exitCode: shown.exitCode, stderr: shown.stderr }).toMatchObject({ exitCode: 0 });
    expect(shown.stdout).toMatch(/prompt-0 +·Austin/);
    const sql = `SELECT slug, before, meta_city, meta_constructor, after
                 FROM off JOIN graphs USING (slug) WHERE graph < 4 ORDER BY graph`;
    const answer = await tracer(['graph', 'query', 'study', sql, '--json'], { cwd: folder });
    expect(envelope(answer).data!['rows']).toEqual([
      ['prompt-0', ' Austin', 'Dallas', 0, ' Sacramento'],
      ['prompt-1', ' Austin', 'Houston', 1, ' Sacramento'],
      ['prompt-2', ' Austin', 'Lubbock', 2, ' Sacramento'],
      ['prompt-3', ' Sacramento', 'Oakland', 3, ' Sacramento'],
    ]);
    expect((await intervene('--prompts', 'list.jsonl', ...CHANGE, '--output', 'off.jsonl')).exitCode).toBe(0);
    const lines = readFileSync(path.join(folder, 'off.jsonl'), 'utf8').split('\n').slice(0, -1);
    expect(JSON.parse(lines[3]!)).toMatchObject({
      slug: 'prompt-3',
      line: 4,
      before: ' Sacramento',
      meta_city: 'Oakland',
    });
  });

  it('goes on after lines that cannot be used, and stops where the change fits no prompt', async () => {
    const some = [
      rows[0]!,
      { slug: 'short', prompt: 'The' },
      { slug: 'empty', prompt: '' },
      { slug: 'none' },
      rows[3]!,
    ];
    writeFileSync(path.join(folder, 'some.jsonl'), some.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const finished = await intervene('--prompts', 'some.jsonl', '--ablate', '1:-5:392', '--json');
    expect(finished.exitCode).toBe(2);
    const { prompts, n_done, n_failed } = dataOf(finished);
    expect([n_done, n_failed]).toEqual([2, 3]);
    expect(prompts.map(({ error }) => error?.code)).toEqual([
      ...[undefined, 'position_out_of_range', 'empty_prompt', 'bad_field', undefined],
    ]);
    const beyond = await intervene(
      '--prompts',
      'list.jsonl',
      '--ablate',
      '9:-2:392',
      '--output',
      'x.jsonl',
      '--json',
    );
    expect([beyond.exitCode, envelope(beyond).error!.code]).toEqual([2, 'layer_out_of_range']);
    expect(existsSync(path.join(folder, 'x.jsonl'))).toBe(false);
  });

  it('does not write its table over the list, whatever the list is called', async () => {
    const list = path.join(folder, 'list.jsonl');
    const text = readFileSync(list, 'utf8');
    symlinkSync('list.jsonl', path.join(folder, 'same.jsonl'));
    for (const output of [list, path.join(folder, 'same.jsonl')]) {
      const over = intervenePrompts({ prompts: list, output, device: 'wasm' });
      await expect(over).rejects.toMatchObject({ code: 'output_is_input', exitCode: 2 });
      await expect(over).rejects.toThrow(`${output} would replace the list of prompts`);
    }
    expect(readFileSync(list, 'utf8')).toBe(text);
  });

  it('refuses what does not go with a list', async () => {
    const codes = [
      [['The capital', '--prompts', 'list.jsonl'], 2],
      [['--prompts', 'list.jsonl', '--batch', 'list.jsonl'], 2],
      [['--prompts', 'list.jsonl', '--expect', ' Austin'], 2],
      [['--prompts', 'list.jsonl', '--output', 'x.safetensors'], 2],
      [['--prompts', 'elsewhere.jsonl'], 3],
    ] as const;
    for (const [args, exitCode] of codes) {
      expect({ args, exitCode: (await intervene(...args)).exitCode }).toEqual({ args, exitCode });
    }
    const validate = (...args: string[]) =>
      tracer(['graph', 'validate', 'x.safetensors', ...args], { cwd: folder });
    expect((await validate('--study', 'study', '--prompts', 'list.jsonl')).exitCode).toBe(2);
    expect((await validate('--study', 'study', '--top', '5')).exitCode).toBe(2);
    expect((await validate('--output', 'y.jsonl')).exitCode).toBe(2);
    expect((await validate('--study', 'study')).exitCode).toBe(3);
  });
});
