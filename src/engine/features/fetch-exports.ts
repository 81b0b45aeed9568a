/** Engine, a part of `features fetch`: all features of layers, from the exports. */
import { NotFoundError } from '../../errors.ts';
import type { FetchContext } from '../../features/fetched/fetch-context.ts';
import {
  bytesOf,
  fetchExports,
  layersLeft,
  planLayer,
  type PlannedLayer,
} from '../../features/fetched/fetch-exports.ts';
import { exportsAddress } from '../../neuronpedia/exports.ts';
import { Stopwatch } from '../stopwatch.ts';
import { secondsOf, type FetchDescription } from './fetch-each.ts';
import type { FeaturesFetchPlan, FeaturesFetchRequest, FeaturesFetchResult } from './fetch-types.ts';

export async function runExports(
  request: FeaturesFetchRequest,
  context: FetchContext,
  layers: readonly number[],
  description: FetchDescription,
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

function noExports(source: string, layers: readonly number[]): NotFoundError {
  return new NotFoundError({
    code: 'no_exports',
    message: `Neuronpedia has no exports of ${source} for ${layers.length === 1 ? `layer ${layers[0]}` : 'these layers'}`,
    hint: 'Check --source, or fetch the features that are needed one by one: --graph FILE.',
  });
}
