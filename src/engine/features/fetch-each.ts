/** Engine, a part of `features fetch`: some features, with a request for each. */
import { fetchEach, leftToFetch, type LeftToFetch } from '../../features/fetched/fetch-each.ts';
import type { FetchContext } from '../../features/fetched/fetch-context.ts';
import { DEFAULT_MS_BETWEEN } from '../../neuronpedia/http.ts';
import { Stopwatch } from '../stopwatch.ts';
import type { Place } from './chosen.ts';
import type { FeaturesFetchPlan, FeaturesFetchRequest, FeaturesFetchResult } from './fetch-types.ts';
import { plural } from '../../plural.ts';

const MS_PER_SECOND = 1000;
const SECONDS_PER_MINUTE = 60;
/** Neuronpedia asks those who want many features to take its exports. */
const MANY_REQUESTS = 1000;

export type FetchDescription = Pick<
  FeaturesFetchResult,
  'transcoders' | 'scan' | 'folder' | 'source' | 'note'
>;

export async function runEach(
  request: FeaturesFetchRequest,
  context: FetchContext,
  places: readonly Place[],
  description: FetchDescription,
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
  if (left.places.length > MANY_REQUESTS && request.max === undefined) {
    const message = `${left.places.length} requests take at least ${Math.ceil(secondsOf(left.places.length) / SECONDS_PER_MINUTE)} minutes; --bulk fetches whole layers in a few`;
    request.onProgress?.({ kind: 'note', message });
  }
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
      `none of ${plural(n_unknown, 'feature')} is known there: check that ${description.source} names the sources of this set`,
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

export function secondsOf(n_requests: number): number {
  return (n_requests * DEFAULT_MS_BETWEEN) / MS_PER_SECOND;
}
