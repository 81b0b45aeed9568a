/** `attribute --prompts`: lists in other forms, their columns, parts of them, and what is kept of graphs. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readGraph } from '../../src/graph/files.ts';
import { goldenPath } from '../support/golden.ts';
import { tracer } from './shared.ts';
import { envelope, finish, start, type Finished } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-lists-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SUBJECT = [
  ...['--model', goldenPath('tiny-a', 'model')],
  ...['--transcoders', goldenPath('tiny-a', 'transcoders', 'plt-jumprelu')],
  ...['--device', 'wasm', '--max-feature-nodes', '20', '--json'],
];

interface Listed {
  readonly device: string | null;
  readonly shard?: string;
  readonly n_done: number;
  readonly n_skipped: number;
  readonly n_failed: number;
  readonly prompts: readonly {
    readonly slug: string | null;
    readonly error?: { readonly code: string; readonly message: string };
    readonly graph?: { readonly pruned: { readonly n_nodes: number } };
  }[];
}

interface Entry {
  readonly slug: string;
  readonly line: number;
  readonly n_nodes: number;
  readonly scan: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly files: readonly { readonly path: string }[];
}

function listOf(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

const jsonLines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

async function trace(list: string, ...args: string[]): Promise<Finished & { data: Listed }> {
  const finished = await tracer(['attribute', '--prompts', list, ...SUBJECT, ...args]);
  return { ...finished, data: envelope(finished).data as unknown as Listed };
}

function entriesOf(file: string): Entry[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Entry);
}

/** Graph files by name, without the time at which each was made. */
async function graphsIn(output: string): Promise<Record<string, unknown>> {
  const names = readdirSync(output).filter((name) => name.endsWith('.safetensors'));
  return Object.fromEntries(
    await Promise.all(
      names.sort().map(async (name) => {
        const { provenance, ...graph } = await readGraph(path.join(output, name));
        return [name, { ...graph, provenance: { ...provenance, created: '' } }] as const;
      }),
    ),
  );
}

const ROWS = Array.from({ length: 7 }, (_, i) => ({ slug: `p${i}`, prompt: `Hello ${'there '.repeat(i)}` }));

describe('a list of prompts', () => {
  it('may be a table with other columns, which the manifest keeps', async () => {
    const csv = 'group,slug,prompt\nfirst,one,"Hello, ""you"""\nsecond,two,The capital of the\nthird,three\n';
    const output = path.join(folder, 'csv');
    const { exitCode, data } = await trace(listOf('list.csv', csv), '--output', output);
    expect({ exitCode, done: data.n_done, failed: data.n_failed }).toEqual({
      exitCode: 4,
      done: 2,
      failed: 1,
    });
    expect(data.prompts[2]!.error).toMatchObject({ code: 'bad_csv' });
    expect(data.prompts[2]!.error!.message).toContain('line 4: has 2 values, the first line names 3 columns');
    expect((await readGraph(path.join(output, 'one.safetensors'))).provenance.prompt).toBe(
      '<bos>Hello, "you"',
    );
    const entries = entriesOf(path.join(output, 'manifest.jsonl'));
    expect(
      entries.map(({ slug, line, metadata, files }) => ({
        slug,
        line,
        metadata,
        files: files.map((file) => file.path),
      })),
    ).toEqual([
      { slug: 'one', line: 2, metadata: { group: 'first' }, files: ['one.safetensors'] },
      { slug: 'two', line: 3, metadata: { group: 'second' }, files: ['two.safetensors'] },
    ]);
    const viewed = await trace(listOf('list.csv', csv), '--graph-dir', path.join(folder, 'csv-viewed'));
    const pruned = viewed.data.prompts[0]!.graph!.pruned;
    expect([entries[0]!.n_nodes, entries[0]!.scan]).toEqual([pruned.n_nodes, expect.any(String)]);
    // Another group is no other graph.
    const table = 'slug\tprompt\tgroup\none\t"Hello, ""you"""\tfourth\n';
    const moved = listOf('moved.tsv', table);
    expect((await trace(moved, '--output', output)).data).toMatchObject({
      n_done: 0,
      n_skipped: 1,
      device: null,
    });
    expect(entriesOf(path.join(output, 'manifest.jsonl')).at(-1)).toMatchObject({
      slug: 'one',
      line: 2,
      metadata: { group: 'fourth' },
    });
  });

  it('is refused where two columns have one name, of which only one could be kept', async () => {
    const list = listOf('twice.csv', 'slug,prompt,group,group\none,The,first,second\n');
    const { exitCode, stdout } = await tracer([
      ...['attribute', '--prompts', list, ...SUBJECT],
      ...['--output', path.join(folder, 'twice')],
    ]);
    expect(exitCode).toBe(4);
    expect(stdout).toContain('the first line names the column \\"group\\" twice');
  });

  it('is traced in parts to the same graphs, and the list of graphs is written by a run over the whole', async () => {
    const list = listOf('parts.jsonl', jsonLines(ROWS));
    const [whole, parts, viewed] = ['whole', 'parts', 'viewed'].map((name) => path.join(folder, name)) as [
      string,
      string,
      string,
    ];
    await trace(list, '--output', whole);
    const both = ['--output', parts, '--graph-dir', viewed];
    const args = ['attribute', '--prompts', list, ...SUBJECT, ...both, '--shard'];
    // At the same time, so each in a process of its own.
    const runs = await Promise.all(['1/2', '2/2'].map((shard) => finish(start([...args, shard]))));
    const answers = runs.map((run) => envelope(run).data as unknown as Listed);
    expect(answers.map(({ shard, n_done }) => [shard, n_done])).toEqual([
      ['1/2', 3],
      ['2/2', 4],
    ]);
    expect(
      readdirSync(parts)
        .filter((name) => name.startsWith('manifest'))
        .sort(),
    ).toEqual(['manifest-1-of-2.jsonl', 'manifest-2-of-2.jsonl']);
    expect(await graphsIn(parts)).toEqual(await graphsIn(whole));
    expect(readdirSync(viewed)).not.toContain('graph-metadata.json');
    expect((await trace(list, ...both)).data).toMatchObject({ n_done: 0, n_skipped: 7, device: null });
    const { graphs } = JSON.parse(readFileSync(path.join(viewed, 'graph-metadata.json'), 'utf8')) as {
      graphs: { slug: string }[];
    };
    expect(graphs.map(({ slug }) => slug)).toEqual(ROWS.map(({ slug }) => slug));
  });

  it('is resumed behind a line of the manifest that was not finished', async () => {
    const list = listOf('torn.jsonl', jsonLines(ROWS.slice(0, 2)));
    const output = path.join(folder, 'torn');
    await trace(list, '--output', output);
    const manifest = path.join(output, 'manifest.jsonl');
    const before = readFileSync(manifest, 'utf8');
    appendFileSync(manifest, before.slice(0, 40));
    expect((await trace(list, '--output', output)).data).toMatchObject({ n_done: 0, n_skipped: 2 });
    expect(readFileSync(manifest, 'utf8')).toBe(before);
    writeFileSync(manifest, `not JSON\n${before}`);
    const damaged = await trace(list, '--output', output);
    expect([damaged.exitCode, envelope(damaged).error?.message]).toEqual([
      4,
      expect.stringContaining('manifest.jsonl, line 1'),
    ]);
  });

  it('leaves what pruning leaves with --store nodes, and the scores of the whole', async () => {
    const list = listOf('store.jsonl', jsonLines(ROWS.slice(2, 3)));
    const [full, nodes] = ['full', 'nodes'].map((name) => path.join(folder, `store-${name}`)) as [
      string,
      string,
    ];
    await trace(list, '--output', full);
    await trace(list, '--output', nodes, '--store', 'nodes', '--graph-dir', nodes);
    const [whole, kept] = [
      await readGraph(path.join(full, 'p2.safetensors')),
      await readGraph(path.join(nodes, 'p2.safetensors')),
    ];
    expect(kept.layout.n_features).toBeLessThan(whole.layout.n_features);
    expect(kept.provenance.scores?.replacement).toBeGreaterThan(0);
    expect(entriesOf(path.join(full, 'manifest.jsonl'))[0]).toMatchObject({ scores: kept.provenance.scores });
    // Every link of the viewer's file, with its weight, and no other one.
    const { links } = JSON.parse(readFileSync(path.join(nodes, 'p2.json'), 'utf8')) as {
      links: { weight: number }[];
    };
    const weights = (values: Iterable<number>): number[] =>
      [...values].filter((value) => value !== 0).sort((a, b) => a - b);
    expect(weights(kept.edges)).toEqual(weights(links.map(({ weight }) => weight)));
    // It is no whole graph.
    expect((await trace(list, '--output', nodes)).data).toMatchObject({ n_done: 1, n_skipped: 0 });
  });
});

describe('several devices', () => {
  const LONG = Array.from({ length: 24 }, (_, i) => ({
    slug: `p${i}`,
    prompt: `Hello ${'there '.repeat(30)} ${i}`,
  }));

  it('trace one list, and what a lost process held is traced again', async () => {
    const list = listOf('devices.jsonl', jsonLines(LONG));
    const [output, alone] = [path.join(folder, 'devices'), path.join(folder, 'alone')];
    const child = start([
      'attribute',
      '--prompts',
      list,
      ...SUBJECT,
      '--output',
      output,
      '--graph-dir',
      output,
      '--devices',
      'wasm,wasm',
    ]);
    let killed = 0;
    child.stderr!.on('data', (text: Buffer) => {
      if (killed !== 0 || !text.toString().includes(' of 24)')) return;
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
        .trim()
        .split(' ');
      killed = Number(children[0]);
      process.kill(killed, 'SIGKILL');
    });
    const finished = await finish(child);
    expect(killed).toBeGreaterThan(0);
    expect(finished.stderr).toContain('its prompts are traced again');
    expect(finished.exitCode).toBe(0);
    expect(envelope(finished).data).toMatchObject({ n_done: 24, n_failed: 0 });
    await trace(list, '--output', alone);
    expect(await graphsIn(output)).toEqual(await graphsIn(alone));
    const slugs = entriesOf(path.join(output, 'manifest.jsonl')).map(({ slug }) => slug);
    expect([...slugs].sort()).toEqual(LONG.map(({ slug }) => slug).sort());
  });

  it('that cannot be used are an error', async () => {
    const list = listOf('unusable.jsonl', jsonLines(LONG.slice(0, 2)));
    const args = ['--output', path.join(folder, 'unusable'), '--devices'];
    const none = await trace(list, ...args, 'cuda:7');
    expect([none.exitCode, envelope(none).error?.code]).toEqual([
      3,
      expect.stringMatching(/cuda|tensorflow/),
    ]);
    const unknown = await trace(list, ...args, 'cpu,gpu');
    expect([unknown.exitCode, envelope(unknown).error?.message]).toEqual([
      2,
      expect.stringContaining('--devices'),
    ]);
    const without = await tracer(['attribute', 'Hello', ...SUBJECT, '--devices', 'wasm']);
    expect([without.exitCode, envelope(without).error?.code]).toEqual([2, 'needs_prompts']);
  });
});
