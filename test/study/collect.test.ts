import { afterAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { collect } from '../../src/engine/study/collect.ts';
import { query } from '../../src/engine/study/query.ts';
import type { TracerError } from '../../src/errors.ts';
import { Random } from '../../src/random.ts';
import { madeFolder, madeGraph, randomPrompts, storedPruned, type MadePrompt } from './made-graphs.ts';

const FILES = ['edges.parquet', 'features.parquet', 'graphs.parquet', 'nodes.parquet', 'study.json'];
const folder = mkdtempSync(path.join(tmpdir(), 'tracer-study-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]): string => path.join(folder, ...names);
const N_PARTS = 8;

function bytesOf(study: string): Record<string, string> {
  return Object.fromEntries(
    FILES.map((name) => [name, readFileSync(path.join(study, name)).toString('base64')]),
  );
}

async function failure(work: Promise<unknown>): Promise<TracerError> {
  return await work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as TracerError,
  );
}

async function rows(study: string, sql: string) {
  return (await query({ study, sql })).rows;
}

describe('collect', () => {
  const prompts = randomPrompts(50, 3);

  it('gives the bytes of one process for any parts, folders, their order, and for graphs stored pruned', async () => {
    const whole = await madeFolder(at('whole'), prompts);
    await collect({ folders: [whole], output: at('study') });
    const expected = bytesOf(at('study'));
    expect(readdirSync(at('study')).sort()).toEqual(FILES);

    for (let part = 1; part <= N_PARTS; part++) {
      await madeFolder(at('parts'), prompts, { shard: { part, of: N_PARTS }, alter: storedPruned });
      await madeFolder(at(`part-${part}`), prompts, { shard: { part, of: N_PARTS } });
    }
    await collect({ folders: [at('parts')], output: at('study-of-parts') });
    expect(bytesOf(at('study-of-parts'))).toEqual(expected);

    const folders = new Random(1).shuffled(Array.from({ length: N_PARTS }, (_, i) => at(`part-${i + 1}`)));
    // A graph that is in two folders is counted once.
    await collect({ folders: [...folders, whole], output: at('study-of-folders') });
    expect(bytesOf(at('study-of-folders'))).toEqual(expected);
  });

  it('has the nodes, links and columns of the graphs', async () => {
    const [first] = prompts;
    expect(await rows(at('study'), 'SELECT count(*), min(line), max(line) FROM graphs')).toEqual([
      [50, 1, 50],
    ]);
    expect(
      await rows(
        at('study'),
        'SELECT slug, prompt, tokens, answer, meta_group, file FROM graphs WHERE graph = 0',
      ),
    ).toEqual([
      [first!.slug, 'The capital of place0 is', first!.tokens, first!.answer, 'even', 'prompt-0.safetensors'],
    ]);
    const { nodes, edges } = (await import('../../src/study/graph-rows.ts')).graphRows(madeGraph(first!, 1));
    const found = await rows(
      at('study'),
      `SELECT s.id, t.id, e.weight, s.position_from_end FROM edges e
       JOIN nodes s ON s.graph = e.graph AND s.node = e.source JOIN nodes t ON t.graph = e.graph AND t.node = e.target
       WHERE e.graph = 0 ORDER BY e.target, e.source`,
    );
    expect(found).toEqual(
      edges.map(({ source, target, weight }) => [
        ...[nodes[source]!.id, nodes[target]!.id, weight],
        nodes[source]!.position - first!.tokens.length,
      ]),
    );
  });

  it('shares the influence of a node among its inputs', async () => {
    const unequal = await rows(
      at('study'),
      `SELECT count(*) FROM (
         SELECT t.graph, t.node, sum(e.influence) AS given,
           if(any_value(t.kind) = 'logit', any_value(t.probability), any_value(t.influence)) AS own
         FROM edges e JOIN nodes t ON t.graph = e.graph AND t.node = e.target GROUP BY ALL)
       WHERE abs(given - own) > 1e-5`,
    );
    expect(unequal).toEqual([[0]]);
  });

  it('sums features over graphs', async () => {
    const differing = await rows(
      at('study'),
      `SELECT count(*) FROM features f FULL JOIN (
         SELECT layer, feature, count(DISTINCT graph) AS n, sum(influence) / 50 AS mean FROM nodes
         WHERE kind = 'feature' GROUP BY ALL) g ON f.layer = g.layer AND f.feature = g.feature
       WHERE f.n_graphs IS DISTINCT FROM g.n OR abs(f.mean_influence - g.mean) > 1e-6`,
    );
    expect(differing).toEqual([[0]]);
  });

  it('gives the columns of the list the type that their values have', async () => {
    const values = [
      { Group: 'a', whole: 1, number: 1, flag: true, mixed: 1, list: ['x'], 'od"d': 'q' },
      { group: 'b', whole: 2, number: 1.5, flag: null, mixed: 'two', list: [] },
    ];
    const made = values.map((metadata, i): MadePrompt => ({ ...prompts[i]!, metadata }));
    await madeFolder(at('typed'), made);
    const { metadata } = await collect({ folders: [at('typed')], output: at('typed-study') });
    expect(metadata).toEqual([
      { name: 'Group', column: 'meta_Group', type: 'VARCHAR' },
      { name: 'flag', column: 'meta_flag', type: 'BOOLEAN' },
      { name: 'group', column: 'meta_group_2', type: 'VARCHAR' },
      { name: 'list', column: 'meta_list', type: 'VARCHAR' },
      { name: 'mixed', column: 'meta_mixed', type: 'VARCHAR' },
      { name: 'number', column: 'meta_number', type: 'DOUBLE' },
      { name: 'od"d', column: 'meta_od"d', type: 'VARCHAR' },
      { name: 'whole', column: 'meta_whole', type: 'BIGINT' },
    ]);
    expect(
      await rows(
        at('typed-study'),
        "SELECT COLUMNS(c -> starts_with(c, 'meta_')) FROM graphs ORDER BY graph",
      ),
    ).toEqual([
      ['a', true, null, '["x"]', '1', 1, 'q', 1],
      [null, null, 'b', '[]', '"two"', 1.5, null, 2],
    ]);
  });

  it('stops at graphs that are missing or damaged and says which; --skip-damaged leaves them out', async () => {
    const damaged = await madeFolder(at('damaged'), prompts.slice(0, 5));
    rmSync(path.join(damaged, 'prompt-1.safetensors'));
    truncateSync(path.join(damaged, 'prompt-2.safetensors'), 100);
    const file = path.join(damaged, 'prompt-3.safetensors');
    writeFileSync(file, Buffer.alloc(readFileSync(file).length, 7));
    const error = await failure(collect({ folders: [damaged], output: at('none') }));
    expect([error.exitCode, error.code]).toEqual([4, 'graphs_missing']);
    expect(error.message).toMatch(/2 of 5[^]*prompt-1.*is missing[^]*prompt-2.*100 bytes/);
    const { n_graphs, skipped } = await collect({
      folders: [damaged],
      output: at('left'),
      skipDamaged: true,
    });
    expect(n_graphs).toBe(2);
    expect(skipped.map(({ slug }) => slug)).toEqual(['prompt-1', 'prompt-2', 'prompt-3']);
    expect(await rows(at('left'), 'SELECT graph, slug FROM graphs')).toEqual([
      [0, 'prompt-0'],
      [1, 'prompt-4'],
    ]);
  });

  it('replaces a study, but no folder with other files, and leaves the old one when it fails', async () => {
    const before = bytesOf(at('study'));
    const abort = new AbortController();
    const stopped = collect({
      folders: [at('typed')],
      output: at('study'),
      signal: abort.signal,
      onProgress: () => abort.abort(new Error('stopped')),
    });
    expect((await failure(stopped)).message).toBe('stopped');
    expect(bytesOf(at('study'))).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp') || name.includes('.old'))).toEqual([]);

    mkdirSync(at('mine'));
    writeFileSync(at('mine', 'thesis.txt'), 'years');
    const refused = await failure(collect({ folders: [at('typed')], output: at('mine') }));
    expect([refused.exitCode, refused.code]).toEqual([2, 'output_in_use']);
    expect(existsSync(at('mine', 'thesis.txt'))).toBe(true);

    await collect({ folders: [at('typed')], output: at('study') });
    expect(await rows(at('study'), 'SELECT count(*) FROM graphs')).toEqual([[2]]);
  });

  it('refuses folders without a manifest, two graphs of one name, and graphs of different sets', async () => {
    mkdirSync(at('empty'));
    writeFileSync(at('a-file'), 'slug,prompt\n');
    const other = prompts.slice(0, 1).map((prompt): MadePrompt => ({ ...prompt, tokens: ['<bos>', 'Else'] }));
    await madeFolder(at('other'), other);
    const set = { name: 'owner/other', revision: 'x', config_sha256: null };
    await madeFolder(at('two-sets'), [{ ...prompts[0]!, slug: 'else', line: 9 }], {
      alter: (graph) => ({ ...graph, provenance: { ...graph.provenance, transcoders: set } }),
    });
    const cases = [
      [[at('empty')], 3, 'no_manifest'],
      [[at('nowhere')], 3, 'file_not_found'],
      [[at('a-file')], 3, 'no_manifest'],
      [[at('whole'), at('other')], 2, 'two_graphs'],
      [[at('whole'), at('two-sets')], 2, 'different_sets'],
    ] as const;
    for (const [folders, exitCode, code] of cases) {
      const error = await failure(collect({ folders, output: at('refused') }));
      expect([error.exitCode, error.code]).toEqual([exitCode, code]);
    }
    expect(existsSync(at('refused'))).toBe(false);
  });

  it('refuses other thresholds than those that graphs were stored with', async () => {
    const error = await failure(
      collect({ folders: [at('parts')], output: at('refused'), nodeThreshold: 0.5 }),
    );
    expect([error.exitCode, error.code]).toEqual([2, 'pruned_before']);
    const same = await collect({ folders: [at('parts')], output: at('same'), nodeThreshold: 0.8 });
    const less = await collect({ folders: [at('whole')], output: at('less'), nodeThreshold: 0.5 });
    expect(less.n_nodes).toBeLessThan(same.n_nodes);
  });
});

/** The interpreter that `TRACER_PYTHON` names, else `python3`. */
const PYTHON = process.env['TRACER_PYTHON'] ?? 'python3';
const hasPyarrow = spawnSync(PYTHON, ['-c', 'import pyarrow.parquet']).status === 0;
const READ = `
import sys, json, pyarrow.parquet as pq
tables = {name: pq.read_table(f"{sys.argv[1]}/{name}.parquet") for name in ["graphs", "nodes", "edges", "features"]}
print(json.dumps({name: [t.num_rows, t.column_names, t.slice(0, 1).to_pylist()] for name, t in tables.items()}))`;

describe('Parquet files of a study', () => {
  const name = hasPyarrow
    ? 'are what pyarrow reads'
    : `are what pyarrow reads (skipped: ${PYTHON} has no pyarrow; TRACER_PYTHON names an interpreter that has it)`;
  (hasPyarrow ? it : it.skip)(name, async () => {
    const study = at('typed-study');
    const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', READ, study], { encoding: 'utf8' });
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    const tables = JSON.parse(stdout) as Record<string, [number, string[], object[]]>;
    for (const [table, [n_rows, columns, first]] of Object.entries(tables)) {
      const ours = await query({ study, sql: `FROM ${table}` });
      expect([n_rows, columns]).toEqual([ours.n_rows, ours.columns.map((column) => column.name)]);
      expect(Object.values(first[0]!)).toEqual(ours.rows[0]);
    }
  });
});
