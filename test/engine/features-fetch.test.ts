/** `features fetch` against a loopback Neuronpedia: what lands where, what comes first, faults, and resuming. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchFeatures } from '../../src/engine/features/fetch.ts';
import type {
  FeaturesFetchPlan,
  FeaturesFetchRequest,
  FeaturesFetchResult,
} from '../../src/engine/features/fetch-types.ts';
import { openFeatureSource, type FeatureSource } from '../../src/engine/features/source.ts';
import type { EngineEvent } from '../../src/engine/request.ts';
import { TracerError } from '../../src/errors.ts';
import { LabelFile } from '../../src/features/labels.ts';
import { ModelLabelFile } from '../../src/features/model-labels.ts';
import { writeIndex, writeLayerPages } from '../../src/features/write-pages.ts';
import {
  activationRowsOf,
  exportFilesOf,
  featurePath,
  featureRowOf,
  gzipLines,
  NP_SOURCE,
  sourceAt,
  wholeFeatureOf,
} from '../support/neuronpedia-exports.ts';
import { NeuronpediaServer, type NeuronpediaFault } from '../support/neuronpedia-server.ts';
import { environment, scratchFolder, type Scratch } from '../support/scratch.ts';
import { PAGES } from '../features/pages.ts';

const KEY = 'sk-np-secret-0123456789';
const SURROUNDINGS = {
  today: new Date('2026-11-30T12:00:00Z'),
  client: { msBetween: 0, retry: { firstWaitMs: 1 } },
};
/** Passes by itself, without a wait. */
const NOW = { 'retry-after': '0' };

let server: NeuronpediaServer;
let scratch: Scratch;
let variables: Disposable;
let events: EngineEvent[];

beforeEach(async () => {
  server = await NeuronpediaServer.start();
  scratch = scratchFolder();
  variables = environment({
    TRACER_NEURONPEDIA_DIR: join(scratch.path, 'neuronpedia'),
    TRACER_LABELS_DIR: join(scratch.path, 'labels'),
    NEURONPEDIA_BASE_URL: server.baseUrl,
    NEURONPEDIA_EXPORTS_URL: server.storageUrl,
    NEURONPEDIA_API_KEY: KEY,
    HF_HUB_OFFLINE: '1',
  });
  events = [];
});

afterEach(async () => {
  variables[Symbol.dispose]();
  scratch[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

const place = (text: string): { layer: number; feature: number } => {
  const [layer, feature] = text.split(':').map(Number);
  return { layer: layer!, feature: feature! };
};

/** Of the embedded set, whose features the server has when `offer` was called. */
async function fetching(request: FeaturesFetchRequest): Promise<FeaturesFetchResult> {
  const result = await fetchFeatures(
    { source: NP_SOURCE, onProgress: (event) => events.push(event), ...request },
    SURROUNDINGS,
  );
  if (result.dry_run) throw new Error('it was no dry run');
  return result;
}

const each = (...places: string[]): Promise<FeaturesFetchResult> => fetching({ chosen: places.map(place) });

function offer(...places: string[]): void {
  for (const { layer, feature } of places.map(place)) {
    server.pages.set(featurePath(layer, feature), wholeFeatureOf(layer, feature));
  }
}

function offerExports(layer: number, features: readonly number[]): void {
  for (const [path, file] of exportFilesOf(layer, features))
    server.stored.set(path, { ...file, encoding: undefined });
}

function exportPath(layer: number, name: string): string {
  return `/v1/some-model/${sourceAt(layer)}/${name}.jsonl.gz`;
}

async function sourceOfSet(): Promise<FeatureSource> {
  return await openFeatureSource({ scan: 'embedded', offline: true });
}

async function failureOf(work: Promise<unknown>): Promise<TracerError> {
  const outcome = await work.catch((error: unknown) => error);
  if (outcome instanceof TracerError) return outcome;
  throw new Error(`no TracerError: ${String(outcome)}`);
}

/** Every file below the folder, by its path. */
function filesIn(folder = scratch.path): Record<string, Buffer> {
  if (!existsSync(folder)) return {};
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path)]));
}

const warnings = (): string[] => events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));

describe('single features', () => {
  it('become pages and labels that name Neuronpedia, and are used without a network', async () => {
    offer('1:5', '1:9', '3:2');
    const result = await each('1:5', '1:9', '3:2', '3:3');
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
    expect(server.requests.map(({ headers }) => headers['x-api-key'])).toEqual([KEY, KEY, KEY, KEY]);
    await server[Symbol.asyncDispose]();
    const source = await sourceOfSet();
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
    expect(Object.values(filesIn()).join('')).not.toContain(KEY);
  });

  it('that are there or known to be unknown are not asked for again, unless all are to be', async () => {
    offer('1:5');
    await each('1:5', '1:6');
    expect(await each('1:5', '1:6')).toMatchObject({
      n_kept: 1,
      n_known_unknown: 1,
      n_requests: 0,
      layers: [],
    });
    offer('1:6');
    const again = await fetching({ chosen: [place('1:5'), place('1:6')], again: true });
    expect(again).toMatchObject({ n_fetched: 2, n_unknown: 0, n_requests: 2 });
    expect(await each('1:6')).toMatchObject({ n_kept: 1, n_known_unknown: 0 });
  });

  it('end after --max requests, and go on with the same command', async () => {
    offer('1:5', '1:6', '1:7');
    const places = ['1:5', '1:6', '1:7'].map(place);
    expect(await fetching({ chosen: places, max: 2 })).toMatchObject({ n_fetched: 2, stopped: 'max' });
    expect(await fetching({ chosen: places, max: 2 })).toMatchObject({
      n_kept: 2,
      n_fetched: 1,
      stopped: null,
    });
    const interrupted = filesIn(process.env['TRACER_NEURONPEDIA_DIR']);
    rmSync(process.env['TRACER_NEURONPEDIA_DIR']!, { recursive: true });
    await each('1:5', '1:6', '1:7');
    expect(filesIn(process.env['TRACER_NEURONPEDIA_DIR'])).toEqual(interrupted);
  });

  it('that a killed run left are taken in by the next one, with the same bytes', async () => {
    offer('1:5', '1:6', '2:7');
    await each('1:5', '1:6', '2:7');
    const folder = process.env['TRACER_NEURONPEDIA_DIR']!;
    const whole = filesIn(folder);
    rmSync(folder, { recursive: true });
    // As if it were killed after the second feature: its pages lie one by one, and the third is cut.
    server.inject(featurePath(2, 7), { kind: 'status', status: 403 });
    await failureOf(each('1:5', '1:6', '2:7'));
    const kept = filesIn(folder);
    expect(Object.keys(kept)).toEqual(['embedded/fetched.json', 'embedded/layer_1.bin']);
    const before = server.requests.length;
    await each('1:5', '1:6', '2:7');
    expect(server.requests.length - before).toBe(1);
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
      offer('1:5', '1:6');
      server.inject(featurePath(1, 6), fault, times);
      server.inject(featurePath(1, 7), fault, times);
      server.inject(featurePath(1, 8), fault, times);
      const error = await failureOf(each('1:5', '1:6', '1:7', '1:8'));
      expect(error).toMatchObject({ exitCode, code });
      expect(`${error.message} ${error.hint} ${String(error.cause)} ${warnings().join(' ')}`).not.toContain(
        KEY,
      );
      expect(error.hint).toBeTruthy();
      expect(warnings().join('\n')).toContain('1 features were complete and are kept');
      expect(await (await sourceOfSet()).fetched.page(1, 5)).not.toBeNull();
      expect(await (await sourceOfSet()).fetched.page(1, 6)).toBeNull();
      expect(Object.keys(filesIn(process.env['TRACER_NEURONPEDIA_DIR'])).sort()).toEqual([
        'embedded/fetched.json',
        'embedded/layer_1.bin',
      ]);
    },
  );

  it('come through faults that pass: 429, 5xx, cut answers', async () => {
    offer('1:5');
    server.inject(featurePath(1, 5), { kind: 'status', status: 429, headers: NOW });
    server.inject(featurePath(1, 5), { kind: 'status', status: 502, headers: NOW });
    server.inject(featurePath(1, 5), { kind: 'cut', afterBytes: 500 });
    expect(await each('1:5')).toMatchObject({ n_fetched: 1, failed: [] });
    expect(warnings().filter((text) => text.includes('trying again'))).toHaveLength(3);
  });

  it('go on after one answer that cannot be used, which is named', async () => {
    offer('1:5', '1:7');
    server.inject(featurePath(1, 6), { kind: 'body', body: '[]' });
    const result = await each('1:5', '1:6', '1:7');
    expect(result.n_fetched).toBe(2);
    expect(result.failed).toEqual([
      { layer: 1, feature: 6, reason: expect.stringContaining(featurePath(1, 6)) as unknown as string },
    ]);
    server.inject(featurePath(1, 8), { kind: 'body', body: '[]' });
    expect(await failureOf(each('1:8'))).toMatchObject({ code: 'bad_answer', exitCode: 4 });
  });

  it('are planned without a request or a file', async () => {
    const plan = (await fetchFeatures(
      { source: NP_SOURCE, chosen: ['1:5', '1:6', '3:1'].map(place), dryRun: true },
      SURROUNDINGS,
    )) as FeaturesFetchPlan;
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
    expect(server.requests).toEqual([]);
    expect(filesIn()).toEqual({});
  });

  it('say so when none is known, since the source may be the wrong one', async () => {
    await each('1:5', '1:6');
    expect(warnings().join('\n')).toContain(
      'none of 2 features is known there: check that some-model/{layer}-some',
    );
  });
});

describe('precedence', () => {
  it("of the user's own pages and labels over those that were fetched, which touch no file of the user", async () => {
    const own = join(scratch.path, 'own');
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
    const before = filesIn();
    offer('1:1', '1:2', '1:3', '1:8');
    await each('1:1', '1:2', '1:3', '1:8');
    for (const [path, bytes] of Object.entries(before)) expect(filesIn()[path]).toEqual(bytes);
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

describe('exports', () => {
  const features = [0, 1, 2, 10, 11, 100];

  it('become the same pages as single features, and remove what they came in', async () => {
    offerExports(1, features);
    const result = await fetching({ bulk: true, layers: [1] });
    expect(result).toMatchObject({
      way: 'exports',
      n_fetched: 6,
      n_requests: 7 + 0,
      stopped: null,
      layers: [{ layer: 1, n_pages: 6, n_labels: 6, n_new: 6, n_faults: 0 }],
    });
    const folder = process.env['TRACER_NEURONPEDIA_DIR']!;
    const pages = async (): Promise<unknown[]> => {
      const { fetched } = await sourceOfSet();
      return await Promise.all(features.map((feature) => fetched.page(1, feature)));
    };
    const fromExports = await pages();
    const bulk = filesIn(folder);
    expect(Object.keys(bulk)).toEqual(['embedded/fetched.json', 'embedded/layer_1.bin']);
    rmSync(folder, { recursive: true });
    offer(...features.map((feature) => `1:${feature}`));
    await each(...features.map((feature) => `1:${feature}`));
    expect(await pages()).toEqual(fromExports);
    expect(filesIn(folder)['embedded/layer_1.bin']!.equals(bulk['embedded/layer_1.bin']!)).toBe(true);
  });

  it('that were read are not asked for again, nor are single features of their layers', async () => {
    offerExports(1, features);
    await fetching({ bulk: true, layers: [1] });
    const before = server.requests.length;
    const again = await fetching({ bulk: true, layers: [1] });
    expect(again).toMatchObject({ n_requests: 0, n_fetched: 0 });
    expect(again.n_kept).toBe(again.n_features);
    expect(await each('1:0', '1:77')).toMatchObject({ n_kept: 1, n_known_unknown: 1 });
    expect(server.requests.length).toBe(before);
    expect(await fetching({ bulk: true, layers: [1], again: true })).toMatchObject({ n_fetched: 6 });
  });

  it('leave single pages that were there, and go on after what an interrupted run had', async () => {
    offerExports(1, features);
    offer('1:10');
    await each('1:10');
    const stopped = await fetching({ bulk: true, layers: [1], max: 4 });
    expect(stopped).toMatchObject({ stopped: 'max', n_requests: 4, layers: [] });
    server.inject(exportPath(1, 'explanations/batch-1'), { kind: 'status', status: 503, headers: NOW }, 5);
    expect(await failureOf(fetching({ bulk: true, layers: [1] }))).toMatchObject({ exitCode: 69 });
    const paths = (): string[] => server.seen('storage GET /v1').map(({ path }) => path);
    const before = paths().length;
    server.inject(exportPath(1, 'activations/batch-1'), { kind: 'cut', afterBytes: 30 });
    const result = await fetching({ bulk: true, layers: [1] });
    expect(result.layers).toEqual([{ layer: 1, n_pages: 6, n_labels: 6, n_new: 5, n_faults: 0 }]);
    const asked = paths().slice(before);
    expect(new Set(asked).size).toBe(asked.length - 1); // the one that was cut, twice
    expect(asked).not.toContain(exportPath(1, 'features/batch-0'));
    const interrupted = filesIn(process.env['TRACER_NEURONPEDIA_DIR']);
    rmSync(process.env['TRACER_NEURONPEDIA_DIR']!, { recursive: true });
    await each('1:10');
    await fetching({ bulk: true, layers: [1] });
    expect(filesIn(process.env['TRACER_NEURONPEDIA_DIR'])).toEqual(interrupted);
  });

  it('are planned by their listing', async () => {
    offerExports(1, features);
    const plan = (await fetchFeatures(
      { source: NP_SOURCE, bulk: true, layers: [0, 1], dryRun: true },
      SURROUNDINGS,
    )) as FeaturesFetchPlan;
    const bytes = [...server.stored]
      .filter(([path]) => path.endsWith('.gz'))
      .reduce((sum, [, { body }]) => sum + body.length, 0);
    expect(plan).toMatchObject({
      n_requests: 6,
      bytes,
      layers_without_exports: [0],
      layers: [{ layer: 1, n_requests: 6, bytes }],
    });
    expect(server.seen('storage GET /v1')).toEqual([]);
    expect(filesIn()).toEqual({});
  });

  it('count lines that cannot be used, and say what the first of them lacks', async () => {
    offerExports(1, [0, 1]);
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
    server.stored.set(exportPath(1, 'features/batch-0'), { body: gzipLines(rows), encoding: undefined });
    const acts = [
      ...activationRowsOf(1, 0),
      { ...activationRowsOf(1, 0)[0], index: '99999999' },
      { ...activationRowsOf(1, 0)[0], index: '88888888' },
    ];
    server.stored.set(exportPath(1, 'activations/batch-0'), { body: gzipLines(acts), encoding: undefined });
    const result = await fetching({ bulk: true, layers: [1] });
    expect(result.layers).toEqual([{ layer: 1, n_pages: 2, n_labels: 2, n_new: 2, n_faults: 6 }]);
    expect(warnings().join('\n')).toContain(
      '6 lines of the exports could not be used; the first: features/batch-0.jsonl.gz, line 2',
    );
  });

  it.each<[string, (path: string) => void, string, number]>([
    [
      'a gzip that is cut',
      (path) =>
        server.stored.set(path, {
          body: gzipLines([featureRowOf(1, 0)]).subarray(0, -9),
          encoding: undefined,
        }),
      'bad_gzip_lines',
      4,
    ],
    [
      'no line of use',
      (path) => server.stored.set(path, { body: gzipLines(['x', '{}']), encoding: undefined }),
      'bad_export',
      4,
    ],
    [
      'a wider dictionary',
      (path) =>
        server.stored.set(path, { body: gzipLines([featureRowOf(1, 9_999_999)]), encoding: undefined }),
      'other_width',
      4,
    ],
  ])(
    'with %s are refused, nothing is half written, and they are fetched anew',
    async (_, damage, code, exitCode) => {
      offerExports(1, features);
      const path = exportPath(1, 'features/batch-1');
      const good = server.stored.get(path)!;
      damage(path);
      expect(await failureOf(fetching({ bulk: true, layers: [1] }))).toMatchObject({ code, exitCode });
      expect(await (await sourceOfSet()).fetched.table(1)).toBeNull();
      server.stored.set(path, good);
      expect(await fetching({ bulk: true, layers: [1] })).toMatchObject({ n_fetched: 6 });
    },
  );

  it('that are nowhere are told', async () => {
    expect(await failureOf(fetching({ bulk: true, layers: [1, 2] }))).toMatchObject({
      code: 'no_exports',
      exitCode: 3,
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
    const error = await failureOf(fetching(request));
    expect(error).toMatchObject({ code, exitCode });
    if (code === 'no_source') expect(error.hint).toContain('--source');
    expect(server.requests).toEqual([]);
  });

  it('asks no other machine while the network is off', async () => {
    using _site = environment({
      NEURONPEDIA_BASE_URL: 'https://np.example',
      NEURONPEDIA_EXPORTS_URL: 'https://s3.example',
    });
    for (const request of [{ chosen: [place('1:5')] }, { bulk: true, layers: [1] }]) {
      expect(await failureOf(fetching({ ...request, offline: true }))).toMatchObject({
        code: 'offline',
        exitCode: 69,
      });
    }
  });

  it('keeps sets of other sources apart', async () => {
    offer('1:5');
    await each('1:5');
    const error = await failureOf(fetching({ chosen: [place('1:6')], source: 'some-model/{layer}-other' }));
    expect(error).toMatchObject({ code: 'other_source', exitCode: 2 });
    writeFileSync(join(process.env['TRACER_NEURONPEDIA_DIR']!, 'embedded', 'fetched.json'), '{');
    expect(await failureOf(each('1:6'))).toMatchObject({ exitCode: 4 });
  });
});
