/** Engine, verb `features fetch`: pages and labels of features from Neuronpedia, for sets that it knows. No weight is read. */
import { join } from 'node:path';
import { NotFoundError, UsageError } from '../../errors.ts';
import { acquireLock } from '../../formats/lock.ts';
import { checkWritable } from '../../formats/atomic.ts';
import { fetchEach, leftToFetch, type LeftToFetch } from '../../features/fetched/fetch-each.ts';
import {
  bytesOf,
  fetchExports,
  layersLeft,
  planLayer,
  type PlannedLayer,
} from '../../features/fetched/fetch-exports.ts';
import type { FetchContext } from '../../features/fetched/fetch-context.ts';
import { FetchedState, STATE_FILE } from '../../features/fetched/fetched-state.ts';
import { readHubEnvironment } from '../../hub/environment.ts';
import { neuronpediaAddress } from '../../neuronpedia/address.ts';
import { exportsAddress } from '../../neuronpedia/exports.ts';
import { DEFAULT_MS_BETWEEN, NeuronpediaHttp, type NeuronpediaOptions } from '../../neuronpedia/http.ts';
import { activationsNote } from '../../neuronpedia/notes.ts';
import { neuronpediaSource } from '../../neuronpedia/sources.ts';
import {
  parseSourceTemplate,
  templateOf,
  templateText,
  type SourceTemplate,
} from '../../neuronpedia/source-name.ts';
import { namedSubject } from '../graph-subject.ts';
import { Stopwatch } from '../stopwatch.ts';
import { chosenFeatures, graphOf, type Place } from './chosen.ts';
import type { FeaturesFetchPlan, FeaturesFetchRequest, FeaturesFetchResult } from './fetch-types.ts';
import { openLabels } from './labels.ts';

const LOCK_FILE = '.lock';
const MS_PER_SECOND = 1000;
/** `2026-11-30T…`. */
const DAY_LETTERS = 10;

/** For tests. */
export interface FetchSurroundings {
  readonly today?: Date;
  readonly client?: Pick<NeuronpediaOptions, 'msBetween' | 'retry' | 'stallMs'>;
}

/** What to fetch: single features, or the exports of layers. */
type Wanted = { readonly places: readonly Place[] } | { readonly layers: readonly number[] };

/**
 * Fetches what the request names, and is not there. What is complete stays, also when it fails or is stopped; the same request goes
 * on after it. Throws `UsageError` for a request that cannot be made and a set without a known source, `NotFoundError` for exports
 * that are not there, and what `fetchEach` and `fetchExports` throw.
 */
export async function fetchFeatures(
  request: FeaturesFetchRequest,
  { today = new Date(), client = {} }: FetchSurroundings = {},
): Promise<FeaturesFetchResult | FeaturesFetchPlan> {
  checkWay(request);
  const given = request.source === undefined ? undefined : parseSourceTemplate(request.source, '--source');
  const graph = await graphOf(request);
  const subject = graph === undefined ? request : namedSubject(graph, request);
  const opened = await openLabels(subject);
  const { features, scan, counts, name } = opened;
  const template = given ?? knownSource(name, scan);
  const wanted: Wanted = request.bulk
    ? { layers: layersOf(request.layers, counts) }
    : { places: placesOf(request, graph, counts) };
  const { fetched, key } = features;
  const onWarning = (message: string): void => request.onProgress?.({ kind: 'warning', message });
  await using _lock = request.dryRun ? null : await lockFolder(fetched.name, request.signal, onWarning);
  const { offline, proxyFor } = readHubEnvironment(request);
  const context: FetchContext = {
    http: new NeuronpediaHttp(neuronpediaAddress(request), { proxyFor, offline, onNotice: onWarning, ...client }),
    template,
    fetched,
    state: await FetchedState.open(fetched.name, key, templateText(template)),
    counts,
    date: today.toISOString().slice(0, DAY_LETTERS),
    again: request.again ?? false,
    mostRequests: request.max ?? Infinity,
    signal: request.signal,
    onWarning,
  };
  const description = {
    transcoders: name,
    scan,
    folder: fetched.name,
    source: templateText(template),
    note: activationsNote(templateText(template)),
  };
  return 'places' in wanted
    ? await runEach(request, context, wanted.places, description)
    : await runExports(request, context, wanted.layers, description);
}

/** Throws `ExhaustedError` for a folder that cannot be written. */
async function lockFolder(
  folder: string,
  signal: AbortSignal | undefined,
  onWarning: (message: string) => void,
): Promise<AsyncDisposable> {
  await checkWritable(join(folder, STATE_FILE));
  return await acquireLock(join(folder, LOCK_FILE), {
    signal,
    onWait: () => onWarning('another process is fetching features of this set; waiting for it'),
  });
}

type Description = Pick<FeaturesFetchResult, 'transcoders' | 'scan' | 'folder' | 'source' | 'note'>;

async function runEach(
  request: FeaturesFetchRequest,
  context: FetchContext,
  places: readonly Place[],
  description: Description,
): Promise<FeaturesFetchResult | FeaturesFetchPlan> {
  const left = await leftToFetch(places, context);
  const common = {
    ...description,
    way: 'features',
    n_features: places.length,
    n_kept: left.n_kept,
    n_known_unknown: left.n_unknown,
    layers_without_exports: [],
  } as const;
  if (request.dryRun) return { ...common, ...planOfEach(left, request.max) };
  const stopwatch = new Stopwatch();
  const total = Math.min(left.places.length, request.max ?? Infinity);
  const outcome = await stopwatch.time('fetch', () =>
    fetchEach(left.places, context, (done) =>
      request.onProgress?.({ kind: 'progress', phase: 'fetch', message: 'Fetching features', done, total }),
    ),
  );
  const { n_fetched, n_unknown, n_requests, bytes, failed } = outcome;
  if (n_unknown > 0 && n_fetched === 0) {
    context.onWarning(
      `none of ${n_unknown} features is known there: check that ${description.source} names the sources of this set`,
    );
  }
  return {
    ...common,
    dry_run: false,
    n_fetched,
    n_unknown,
    n_requests,
    bytes,
    stopped: outcome.isAtLimit ? 'max' : null,
    layers: [...outcome.layers].map(([layer, merged]) => ({ layer, ...merged, n_faults: 0 })),
    failed,
    timings_ms: stopwatch.timings_ms,
  };
}

function planOfEach(
  { places }: LeftToFetch,
  max = Infinity,
): Pick<FeaturesFetchPlan, 'dry_run' | 'n_requests' | 'bytes' | 'least_seconds' | 'layers'> {
  const asked = places.slice(0, Math.min(places.length, max));
  const byLayer = new Map<number, number>();
  for (const { layer } of asked) byLayer.set(layer, (byLayer.get(layer) ?? 0) + 1);
  return {
    dry_run: true,
    n_requests: asked.length,
    bytes: null,
    least_seconds: secondsOf(asked.length),
    layers: [...byLayer]
      .sort(([a], [b]) => a - b)
      .map(([layer, n_requests]) => ({ layer, n_requests, bytes: null })),
  };
}

async function runExports(
  request: FeaturesFetchRequest,
  context: FetchContext,
  layers: readonly number[],
  description: Description,
): Promise<FeaturesFetchResult | FeaturesFetchPlan> {
  const site = exportsAddress();
  const left = layersLeft(layers, context);
  const nFeatures = (of: readonly number[]): number =>
    of.reduce((total, layer) => total + context.counts[layer]!, 0);
  const common = {
    ...description,
    way: 'exports',
    n_features: nFeatures(layers),
    n_kept: nFeatures(layers) - nFeatures(left),
    n_known_unknown: 0,
  } as const;
  const refuseNone = (without: readonly number[]): void => {
    if (without.length > 0 && without.length === layers.length) throw noExports(description.source, layers);
  };
  if (request.dryRun) {
    const planned: PlannedLayer[] = [];
    for (const layer of left) planned.push((await planLayer(layer, site, context)) ?? noFiles(layer));
    const without = planned.flatMap(({ layer, files }) => (files.length === 0 ? [layer] : []));
    refuseNone(without);
    return { ...common, layers_without_exports: without, ...planOfExports(planned) };
  }
  const stopwatch = new Stopwatch();
  const onBytes = (layer: number, done: number, total: number): void =>
    request.onProgress?.({
      kind: 'progress',
      phase: 'fetch',
      message: `Fetching the exports of layer ${layer}`,
      done,
      total,
      unit: 'bytes',
    });
  const onRead = (layer: number, done: number, total: number): void =>
    request.onProgress?.({
      kind: 'progress',
      phase: 'read',
      message: `Reading the exports of layer ${layer}`,
      done,
      total,
    });
  const outcome = await stopwatch.time('fetch', () => fetchExports(left, site, context, onBytes, onRead));
  refuseNone(outcome.without);
  const done = [...outcome.layers].map(([layer, merged]) => ({ layer, ...merged }));
  return {
    ...common,
    layers_without_exports: outcome.without,
    dry_run: false,
    n_fetched: done.reduce((total, { n_new }) => total + n_new, 0),
    n_unknown: 0,
    n_requests: outcome.n_requests,
    bytes: outcome.bytes,
    stopped: outcome.isAtLimit ? 'max' : null,
    layers: done,
    failed: [],
    timings_ms: stopwatch.timings_ms,
  };
}

function noFiles(layer: number): PlannedLayer {
  return { layer, files: [], missing: [] };
}

function planOfExports(
  layers: readonly PlannedLayer[],
): Pick<FeaturesFetchPlan, 'dry_run' | 'n_requests' | 'bytes' | 'least_seconds' | 'layers'> {
  const each = layers
    .filter(({ files }) => files.length > 0)
    .map(({ layer, missing }) => ({ layer, n_requests: missing.length, bytes: bytesOf(missing) }));
  const n_requests = each.reduce((total, one) => total + one.n_requests, 0);
  return {
    dry_run: true,
    n_requests,
    bytes: each.reduce((total, { bytes }) => total + bytes, 0),
    least_seconds: secondsOf(n_requests),
    layers: each,
  };
}

function secondsOf(n_requests: number): number {
  return (n_requests * DEFAULT_MS_BETWEEN) / MS_PER_SECOND;
}

/** Throws `UsageError` unless exactly one way to name features was used. */
function checkWay({ chosen = [], graph, bulk, layers }: FeaturesFetchRequest): void {
  const given = [chosen.length > 0, graph !== undefined, bulk === true].filter(Boolean).length;
  const refuse = (code: string, message: string): never => {
    const hint =
      'Give LAYER:FEATURE (repeatable), --graph FILE, or --bulk for all features; --layers names some layers of the latter two.';
    throw new UsageError({ code, message, hint });
  };
  if (given === 0) refuse('no_features', 'no feature is named that should be fetched');
  if (given > 1)
    refuse(
      'flags_exclude_each_other',
      'features are named in more than one way: by number, with --graph or with --bulk',
    );
  if (chosen.length > 0 && layers !== undefined)
    refuse('flags_exclude_each_other', '--layers does not go with features that are named by number');
}

/** Throws `UsageError` for a set that is not known to have pages on Neuronpedia. */
function knownSource(name: string, scan: string): SourceTemplate {
  const known = neuronpediaSource(name) ?? neuronpediaSource(scan);
  if (known !== null) return templateOf(known);
  throw new UsageError({
    code: 'no_source',
    message: `it is not known which sources of Neuronpedia are those of ${name}`,
    hint: "Name them with --source 'MODEL/{layer}-NAME', as in the address of a feature's page there.",
  });
}

function placesOf(
  { chosen, layers }: FeaturesFetchRequest,
  graph: Awaited<ReturnType<typeof graphOf>>,
  counts: readonly number[],
): Place[] {
  const all = chosenFeatures({ chosen }, graph, counts);
  if (layers === undefined) return all;
  const wanted = new Set(layersOf(layers, counts));
  return all.filter(({ layer }) => wanted.has(layer));
}

/** By rising number. Throws `UsageError` for a layer that has no features. */
function layersOf(layers: readonly number[] | undefined, counts: readonly number[]): number[] {
  const present = counts.flatMap((count, layer) => (count > 0 ? [layer] : []));
  if (layers === undefined) return present;
  const wrong = layers.find((layer) => !present.includes(layer));
  if (wrong === undefined && layers.length > 0) return [...new Set(layers)].sort((a, b) => a - b);
  throw new UsageError({
    code: 'out_of_range',
    message:
      wrong === undefined
        ? '--layers names no layer'
        : `--layers: the set has no transcoder for layer ${wrong}`,
    hint: `It has those of ${present.join(', ')}.`,
  });
}

function noExports(source: string, layers: readonly number[]): NotFoundError {
  return new NotFoundError({
    code: 'no_exports',
    message: `Neuronpedia has no exports of ${source} for ${layers.length === 1 ? `layer ${layers[0]}` : 'these layers'}`,
    hint: 'Check --source, or fetch the features that are needed one by one: --graph FILE.',
  });
}
