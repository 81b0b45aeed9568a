/** `features fetch --bulk` against a loopback bucket: pages from exports, resuming, hostile files. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { SinglePages } from '../../src/features/fetched/single-pages.ts';
import type { NeuronpediaFault } from '../support/neuronpedia-server.ts';
import { activationRowsOf, featureRowOf, gzipLines } from '../support/neuronpedia-exports.ts';
import { exportPath, failureOf, FetchFixture, filesIn, KEY } from './fetch-fixture.ts';

/** Passes by itself, without a wait. */
const NOW = { 'retry-after': '0' };

let fixture: FetchFixture;
beforeEach(async () => (fixture = await FetchFixture.start()));
afterEach(() => fixture[Symbol.asyncDispose]());

describe('exports', () => {
  const features = [0, 1, 2, 10, 11, 100];

  it('become the same pages as single features, and remove what they came in', async () => {
    fixture.offerExports(1, features);
    const result = await fixture.fetch({ bulk: true, layers: [1] });
    expect(result).toMatchObject({
      way: 'exports',
      n_fetched: 6,
      n_requests: 7 + 0,
      stopped: null,
      layers: [{ layer: 1, n_pages: 6, n_labels: 6, n_new: 6, n_faults: 0 }],
    });
    const folder = fixture.store;
    const pages = async (): Promise<unknown[]> => {
      const { fetched } = await fixture.source();
      return await Promise.all(features.map((feature) => fetched.page(1, feature)));
    };
    const fromExports = await pages();
    const bulk = filesIn(folder);
    expect(Object.keys(bulk)).toEqual(['embedded/fetched.json', 'embedded/layer_1.bin']);
    rmSync(folder, { recursive: true });
    fixture.offer(...features.map((feature) => `1:${feature}`));
    await fixture.each(...features.map((feature) => `1:${feature}`));
    expect(await pages()).toEqual(fromExports);
    expect(filesIn(folder)['embedded/layer_1.bin']!.equals(bulk['embedded/layer_1.bin']!)).toBe(true);
  });

  it('that were read are not asked for again, nor are single features of their layers', async () => {
    fixture.offerExports(1, features);
    await fixture.fetch({ bulk: true, layers: [1] });
    const before = fixture.server.requests.length;
    const again = await fixture.fetch({ bulk: true, layers: [1] });
    expect(again).toMatchObject({ n_requests: 0, n_fetched: 0 });
    expect(again.n_kept).toBe(again.n_features);
    expect(await fixture.each('1:0', '1:77')).toMatchObject({ n_kept: 1, n_known_unknown: 1 });
    expect(fixture.server.requests.length).toBe(before);
    expect(await fixture.fetch({ bulk: true, layers: [1], again: true })).toMatchObject({ n_fetched: 6 });
  });

  it('leave single pages that were there, and go on after what an interrupted run had', async () => {
    fixture.offerExports(1, features);
    fixture.offer('1:10');
    await fixture.each('1:10');
    const stopped = await fixture.fetch({ bulk: true, layers: [1], max: 4 });
    expect(stopped).toMatchObject({ stopped: 'max', n_requests: 4, layers: [] });
    fixture.server.inject(
      exportPath(1, 'explanations/batch-1'),
      { kind: 'status', status: 503, headers: NOW },
      5,
    );
    expect(await failureOf(fixture.fetch({ bulk: true, layers: [1] }))).toMatchObject({ exitCode: 69 });
    const paths = (): string[] => fixture.server.seen('storage GET /v1').map(({ path }) => path);
    const before = paths().length;
    fixture.server.inject(exportPath(1, 'activations/batch-1'), { kind: 'cut', afterBytes: 30 });
    const result = await fixture.fetch({ bulk: true, layers: [1] });
    expect(result.layers).toEqual([{ layer: 1, n_pages: 6, n_labels: 6, n_new: 5, n_faults: 0 }]);
    const asked = paths().slice(before);
    expect(new Set(asked).size).toBe(asked.length - 1); // the one that was cut, twice
    expect(asked).not.toContain(exportPath(1, 'features/batch-0'));
    const interrupted = filesIn(fixture.store);
    rmSync(fixture.store, { recursive: true });
    await fixture.each('1:10');
    await fixture.fetch({ bulk: true, layers: [1] });
    expect(filesIn(fixture.store)).toEqual(interrupted);
  });

  it('take in single pages that a killed run left', async () => {
    fixture.offer('1:10');
    await fixture.each('1:10');
    const page = (await (await fixture.source()).fetched.page(1, 10))!;
    rmSync(fixture.store, { recursive: true });
    const single = await SinglePages.open(join(fixture.store, 'embedded'));
    await single.add(1, 99, page);
    fixture.offerExports(1, features);
    expect((await fixture.fetch({ bulk: true, layers: [1] })).layers).toMatchObject([
      { n_pages: 7, n_new: 6 },
    ]);
    expect(Object.keys(filesIn(fixture.store))).toEqual(['embedded/fetched.json', 'embedded/layer_1.bin']);
  });

  it('are planned by their listing', async () => {
    fixture.offerExports(1, features);
    const plan = await fixture.plan({ bulk: true, layers: [0, 1] });
    const bytes = [...fixture.server.stored]
      .filter(([path]) => path.endsWith('.gz'))
      .reduce((sum, [, { body }]) => sum + body.length, 0);
    expect(plan).toMatchObject({
      n_requests: 6,
      bytes,
      layers_without_exports: [0],
      layers: [{ layer: 1, n_requests: 6, bytes }],
    });
    expect(fixture.server.seen('storage GET /v1')).toEqual([]);
    expect(filesIn(fixture.root)).toEqual({});
  });

  it('count lines that cannot be used, and say what the first of them lacks', async () => {
    fixture.offerExports(1, [0, 1]);
    const other = { ...featureRowOf(2, 1) };
    const rows = [
      featureRowOf(1, 0),
      '{"index": NaN}',
      '[1,2',
      { index: 'x' },
      other,
      featureRowOf(1, 0),
      { ...featureRowOf(1, 0), index: '99999999', hasVector: true },
    ];
    fixture.server.stored.set(exportPath(1, 'features/batch-0'), {
      body: gzipLines(rows),
      encoding: undefined,
    });
    const acts = [
      ...activationRowsOf(1, 0),
      { ...activationRowsOf(1, 0)[0], index: '99999999' },
      { ...activationRowsOf(1, 0)[0], index: '88888888' },
    ];
    fixture.server.stored.set(exportPath(1, 'activations/batch-0'), {
      body: gzipLines(acts),
      encoding: undefined,
    });
    const result = await fixture.fetch({ bulk: true, layers: [1] });
    expect(result.layers).toEqual([{ layer: 1, n_pages: 2, n_labels: 2, n_new: 2, n_faults: 6 }]);
    expect(fixture.warnings().join('\n')).toContain(
      '6 lines of the exports could not be used; the first: features/batch-0.jsonl.gz, line 2',
    );
  });

  it.each<[string, (path: string) => void, string, number]>([
    [
      'a gzip that is cut',
      (path) =>
        fixture.server.stored.set(path, {
          body: gzipLines([featureRowOf(1, 0)]).subarray(0, -9),
          encoding: undefined,
        }),
      'bad_gzip_lines',
      4,
    ],
    [
      'no line of use',
      (path) => fixture.server.stored.set(path, { body: gzipLines(['x', '{}']), encoding: undefined }),
      'bad_export',
      4,
    ],
    [
      'a wider dictionary',
      (path) =>
        fixture.server.stored.set(path, {
          body: gzipLines([featureRowOf(1, 9_999_999)]),
          encoding: undefined,
        }),
      'other_width',
      4,
    ],
  ])(
    'with %s are refused, nothing is half written, and they are fetched anew',
    async (_, damage, code, exitCode) => {
      fixture.offerExports(1, features);
      const path = exportPath(1, 'features/batch-1');
      const good = fixture.server.stored.get(path)!;
      damage(path);
      expect(await failureOf(fixture.fetch({ bulk: true, layers: [1] }))).toMatchObject({ code, exitCode });
      expect(await (await fixture.source()).fetched.table(1)).toBeNull();
      fixture.server.stored.set(path, good);
      expect(await fixture.fetch({ bulk: true, layers: [1] })).toMatchObject({ n_fetched: 6 });
    },
  );

  it.each<[string, NeuronpediaFault, number, string]>([
    [
      '403',
      { kind: 'status', status: 403, body: '<Error><Code>AccessDenied</Code></Error>' },
      3,
      'export_not_found',
    ],
    ['404', { kind: 'status', status: 404 }, 3, 'export_not_found'],
    [
      '429 for an hour',
      { kind: 'status', status: 429, headers: { 'retry-after': '3600' } },
      69,
      'network_failed',
    ],
    ['other bytes than are listed', { kind: 'body', body: 'x'.repeat(10_000) }, 4, 'bad_answer'],
  ])('with %s in the way are told, and go on after what is there', async (_, fault, exitCode, code) => {
    fixture.offerExports(1, features);
    fixture.server.inject(exportPath(1, 'activations/batch-1'), fault);
    const error = await failureOf(fixture.fetch({ bulk: true, layers: [1] }));
    expect(error).toMatchObject({ exitCode, code });
    expect(error.message).toContain('activations/batch-1');
    expect(`${error.message} ${error.hint}`).not.toContain(KEY);
    fixture.server.requests.length = 0;
    expect(await fixture.fetch({ bulk: true, layers: [1] })).toMatchObject({ n_fetched: 6 });
    expect(fixture.server.seen('storage GET /v1').map(({ path }) => path)).toEqual([
      exportPath(1, 'activations/batch-1'),
    ]);
    expect(JSON.stringify(fixture.server.requests.map(({ headers }) => headers))).not.toContain(KEY);
  });

  it('that are nowhere are told', async () => {
    expect(await failureOf(fixture.fetch({ bulk: true, layers: [1, 2] }))).toMatchObject({
      code: 'no_exports',
      exitCode: 3,
    });
  });
});
