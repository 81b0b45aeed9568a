/** `features fetch` of single features against a loopback Neuronpedia: what lands where, what comes first, faults, resuming. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FeaturesFetchRequest } from '../../src/engine/features/fetch-types.ts';
import { openFeatureSource } from '../../src/engine/features/source.ts';
import { acquireLock } from '../../src/formats/lock.ts';
import { LabelFile } from '../../src/features/labels.ts';
import { ModelLabelFile } from '../../src/features/model-labels.ts';
import { writeIndex, writeLayerPages } from '../../src/features/write-pages.ts';
import { PAGES } from '../features/pages.ts';
import { featurePath, NP_SOURCE } from '../support/neuronpedia-exports.ts';
import type { NeuronpediaFault } from '../support/neuronpedia-server.ts';
import { environment } from '../support/scratch.ts';
import { failureOf, FetchFixture, filesIn, KEY, place } from './fetch-fixture.ts';

/** Passes by itself, without a wait. */
const NOW = { 'retry-after': '0' };

let fixture: FetchFixture;
beforeEach(async () => (fixture = await FetchFixture.start()));
afterEach(() => fixture[Symbol.asyncDispose]());

describe('single features', () => {
  it('become pages and labels that name Neuronpedia, and are used without a network', async () => {
    fixture.offer('1:5', '1:9', '3:2');
    const result = await fixture.each('1:5', '1:9', '3:2', '3:3');
    expect(result).toMatchObject({
      way: 'features',
      source: NP_SOURCE,
      note: null,
      n_features: 4,
      n_fetched: 3,
      n_unknown: 1,
      n_kept: 0,
      n_requests: 4,
      stopped: null,
      layers: [
        { layer: 1, n_pages: 2, n_labels: 2, n_new: 2 },
        { layer: 3, n_pages: 1, n_labels: 1, n_new: 1 },
      ],
    });
    expect(result.bytes).toBeGreaterThan(3000);
    expect(fixture.server.requests.map(({ headers }) => headers['x-api-key'])).toEqual([KEY, KEY, KEY, KEY]);
    await fixture.server[Symbol.asyncDispose]();
    const source = await fixture.source();
    expect(await source.fetched.page(1, 9)).toMatchObject({
      fetched: { site: 'neuronpedia', source: 'some-model/1-some-transcoder', date: '2026-11-30' },
    });
    expect(await source.label(1, 9)).toEqual({
      text: 'words of text 9',
      origin: 'neuronpedia',
      share: null,
      fetched: {
        type: 'oai_token-act-pair',
        model: 'gpt-4o-mini',
        author: null,
        score: null,
        date: '2026-11-30',
      },
    });
    expect(
      await source.labels([
        [1, 5],
        [3, 2],
      ]),
    ).toEqual({ '1_5': 'words of text 5', '3_2': 'words of text 2' });
    expect(Object.values(filesIn(fixture.root)).join('')).not.toContain(KEY);
  });

  it('that are there or known to be unknown are not asked for again, unless all are to be', async () => {
    fixture.offer('1:5');
    await fixture.each('1:5', '1:6');
    expect(await fixture.each('1:5', '1:6')).toMatchObject({
      n_kept: 1,
      n_known_unknown: 1,
      n_requests: 0,
      layers: [],
    });
    fixture.offer('1:6');
    const again = await fixture.fetch({ chosen: [place('1:5'), place('1:6')], again: true });
    expect(again).toMatchObject({ n_fetched: 2, n_unknown: 0, n_requests: 2 });
    expect(await fixture.each('1:6')).toMatchObject({ n_kept: 1, n_known_unknown: 0 });
  });

  it('end after --max requests, and go on with the same command', async () => {
    fixture.offer('1:5', '1:6', '1:7');
    const places = ['1:5', '1:6', '1:7'].map(place);
    expect(await fixture.fetch({ chosen: places, max: 2 })).toMatchObject({ n_fetched: 2, stopped: 'max' });
    expect(await fixture.fetch({ chosen: places, max: 2 })).toMatchObject({
      n_kept: 2,
      n_fetched: 1,
      stopped: null,
    });
    const interrupted = filesIn(fixture.store);
    rmSync(fixture.store, { recursive: true });
    await fixture.each('1:5', '1:6', '1:7');
    expect(filesIn(fixture.store)).toEqual(interrupted);
  });

  it('that a killed run left are taken in by the next one, with the same bytes', async () => {
    fixture.offer('1:5', '1:6', '2:7');
    await fixture.each('1:5', '1:6', '2:7');
    const folder = fixture.store;
    const whole = filesIn(folder);
    rmSync(folder, { recursive: true });
    // As if it were killed after the second feature: its pages lie one by one, and the third is cut.
    fixture.server.inject(featurePath(2, 7), { kind: 'status', status: 403 });
    await failureOf(fixture.each('1:5', '1:6', '2:7'));
    const kept = filesIn(folder);
    expect(Object.keys(kept)).toEqual(['embedded/fetched.json', 'embedded/layer_1.bin']);
    const before = fixture.server.requests.length;
    await fixture.each('1:5', '1:6', '2:7');
    expect(fixture.server.requests.length - before).toBe(1);
    expect(filesIn(folder)).toEqual(whole);
  });

  it.each<[string, NeuronpediaFault, number, number, string]>([
    ['401', { kind: 'status', status: 401, body: { error: `bad key ${KEY}` } }, 1, 3, 'not_authorised'],
    ['403', { kind: 'status', status: 403 }, 1, 3, 'not_authorised'],
    [
      '429 for an hour',
      { kind: 'status', status: 429, headers: { 'retry-after': '3600' } },
      9,
      69,
      'network_failed',
    ],
    ['5xx that stays', { kind: 'status', status: 503, headers: NOW }, 9, 69, 'network_failed'],
    ['a web page', { kind: 'body', body: '<html>Sign in</html>', type: 'text/html' }, 9, 4, 'bad_answer'],
    ['JSON of another form', { kind: 'body', body: '{"index":"5","pos_str":7}' }, 9, 4, 'bad_answer'],
    ['another feature', { kind: 'body', body: '{"index":"99"}' }, 9, 4, 'bad_answer'],
    [
      'another dictionary',
      { kind: 'body', body: '{"index":"6","source":{"saelensConfig":{"d_sae":77}}}' },
      1,
      4,
      'other_width',
    ],
  ])(
    'with %s in the way are told, and those before are kept whole',
    async (_, fault, times, exitCode, code) => {
      fixture.offer('1:5', '1:6');
      fixture.server.inject(featurePath(1, 6), fault, times);
      fixture.server.inject(featurePath(1, 7), fault, times);
      fixture.server.inject(featurePath(1, 8), fault, times);
      const error = await failureOf(fixture.each('1:5', '1:6', '1:7', '1:8'));
      expect(error).toMatchObject({ exitCode, code });
      expect(
        `${error.message} ${error.hint} ${String(error.cause)} ${fixture.warnings().join(' ')}`,
      ).not.toContain(KEY);
      expect(error.hint).toBeTruthy();
      expect(fixture.warnings().join('\n')).toContain('1 feature kept, fetched before that');
      expect(await (await fixture.source()).fetched.page(1, 5)).not.toBeNull();
      expect(await (await fixture.source()).fetched.page(1, 6)).toBeNull();
      expect(Object.keys(filesIn(fixture.store)).sort()).toEqual([
        'embedded/fetched.json',
        'embedded/layer_1.bin',
      ]);
    },
  );

  it('come through faults that pass: 429, 5xx, cut answers', async () => {
    fixture.offer('1:5');
    fixture.server.inject(featurePath(1, 5), { kind: 'status', status: 429, headers: NOW });
    fixture.server.inject(featurePath(1, 5), { kind: 'status', status: 502, headers: NOW });
    fixture.server.inject(featurePath(1, 5), { kind: 'cut', afterBytes: 500 });
    expect(await fixture.each('1:5')).toMatchObject({ n_fetched: 1, failed: [] });
    expect(fixture.warnings().filter((text) => text.includes('trying again'))).toHaveLength(3);
  });

  it('go on after one answer that cannot be used, which is named', async () => {
    fixture.offer('1:5', '1:7');
    fixture.server.inject(featurePath(1, 6), { kind: 'body', body: '[]' });
    const result = await fixture.each('1:5', '1:6', '1:7');
    expect(result.n_fetched).toBe(2);
    expect(result.failed).toEqual([
      { layer: 1, feature: 6, reason: expect.stringContaining(featurePath(1, 6)) as unknown as string },
    ]);
    fixture.server.inject(featurePath(1, 8), { kind: 'body', body: '[]' });
    expect(await failureOf(fixture.each('1:8'))).toMatchObject({ code: 'bad_answer', exitCode: 4 });
  });

  it('leave no draft that a killed run left, and wait for another run of the same set', async () => {
    fixture.offer('1:5');
    const folder = join(fixture.store, 'embedded');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, '.layer_1.bin.0123.tmp'), 'half');
    const lock = await acquireLock(join(folder, '.lock'));
    const work = fixture.each('1:5');
    while (fixture.warnings().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(fixture.warnings()).toEqual(['another process is fetching features of this set; waiting for it']);
    expect(fixture.server.requests).toEqual([]);
    await lock[Symbol.asyncDispose]();
    expect(await work).toMatchObject({ n_fetched: 1 });
    expect(Object.keys(filesIn(folder))).toEqual(['fetched.json', 'layer_1.bin']);
  });

  it('are planned without a request or a file', async () => {
    const plan = await fixture.plan({ chosen: ['1:5', '1:6', '3:1'].map(place) });
    expect(plan).toMatchObject({
      dry_run: true,
      n_requests: 3,
      bytes: null,
      least_seconds: 0.75,
      layers: [
        { layer: 1, n_requests: 2, bytes: null },
        { layer: 3, n_requests: 1, bytes: null },
      ],
    });
    expect(fixture.server.requests).toEqual([]);
    expect(filesIn(fixture.root)).toEqual({});
  });

  it('say so when none is known, since the source may be the wrong one', async () => {
    await fixture.each('1:5', '1:6');
    expect(fixture.warnings().join('\n')).toContain(
      'none of 2 features is known there: check that some-model/{layer}-some',
    );
  });
});

describe('precedence', () => {
  it("of the user's own pages and labels over those that were fetched, which touch no file of the user", async () => {
    const own = join(fixture.root, 'own');
    await writeIndex(own, { 1: await writeLayerPages(own, 1, PAGES) });
    const labels = LabelFile.of('embedded');
    await labels.write([{ layer: 1, feature: 1, text: 'mine' }]);
    const made = ModelLabelFile.of('embedded');
    const numbers = { n_positive: 1, n_negative: 1, n_true_positive: 1, n_true_negative: 1 };
    await made.write(
      new Map([
        ['1_2', { text: 'by my model', model: 'm', scorer: 'm', prompt_version: 1, score: 1, ...numbers }],
      ]),
    );
    const before = filesIn(fixture.root);
    fixture.offer('1:1', '1:2', '1:3', '1:8');
    await fixture.each('1:1', '1:2', '1:3', '1:8');
    for (const [path, bytes] of Object.entries(before)) expect(filesIn(fixture.root)[path]).toEqual(bytes);
    const source = await openFeatureSource({ scan: 'embedded', folder: own, offline: true });
    expect(await source.page(1, 3)).toEqual(PAGES[3]);
    expect((await source.page(1, 8))?.fetched).toBeUndefined(); // the embedded set has pages of its own
    expect(await source.label(1, 1)).toMatchObject({ text: 'mine', origin: 'edited' });
    expect(await source.label(1, 2)).toMatchObject({ text: 'by my model', origin: 'model' });
    expect(await source.label(1, 3)).toMatchObject({ text: 'words of text 3', origin: 'neuronpedia' });
    expect(
      await source.labels([
        [1, 1],
        [1, 2],
        [1, 3],
      ]),
    ).toEqual({
      '1_1': 'mine',
      '1_2': 'by my model',
      '1_3': 'words of text 3',
    });
  });
});

describe('a request that cannot be made', () => {
  it.each<[FeaturesFetchRequest, string, number]>([
    [{}, 'no_features', 2],
    [{ bulk: true, chosen: [{ layer: 0, feature: 0 }] }, 'flags_exclude_each_other', 2],
    [{ chosen: [{ layer: 0, feature: 0 }], layers: [0] }, 'flags_exclude_each_other', 2],
    [{ chosen: [{ layer: 0, feature: 9_999_999 }] }, 'out_of_range', 2],
    [{ bulk: true, layers: [99] }, 'out_of_range', 2],
    [{ bulk: true, layers: [] }, 'out_of_range', 2],
    [{ bulk: true, source: 'gemma/3-x' }, 'bad_value', 2],
    [{ bulk: true, source: undefined }, 'no_source', 2],
  ])('%j is refused before anything is asked', async (request, code, exitCode) => {
    const error = await failureOf(fixture.fetch(request));
    expect(error).toMatchObject({ code, exitCode });
    if (code === 'no_source') expect(error.hint).toContain('--source');
    expect(fixture.server.requests).toEqual([]);
  });

  it('asks no other machine while the network is off', async () => {
    using _site = environment({
      NEURONPEDIA_BASE_URL: 'https://np.example',
      NEURONPEDIA_EXPORTS_URL: 'https://s3.example',
    });
    for (const request of [{ chosen: [place('1:5')] }, { bulk: true, layers: [1] }]) {
      expect(await failureOf(fixture.fetch({ ...request, offline: true }))).toMatchObject({
        code: 'offline',
        exitCode: 69,
      });
    }
  });

  it('forgets a source of which nothing came', async () => {
    await fixture.fetch({ chosen: [place('1:5')], source: 'some-model/{layer}-wrong' });
    fixture.offer('1:5');
    expect(await fixture.each('1:5')).toMatchObject({ n_fetched: 1, n_known_unknown: 0 });
  });

  it('keeps sets of other sources apart', async () => {
    fixture.offer('1:5');
    await fixture.each('1:5');
    const error = await failureOf(
      fixture.fetch({ chosen: [place('1:6')], source: 'some-model/{layer}-other' }),
    );
    expect(error).toMatchObject({ code: 'other_source', exitCode: 2 });
    expect(error.hint).toContain(join(fixture.store, 'embedded'));
    writeFileSync(join(fixture.store, 'embedded', 'fetched.json'), '{');
    expect(await failureOf(fixture.each('1:6'))).toMatchObject({ exitCode: 4 });
  });
});
