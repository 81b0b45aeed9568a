/** Engine, verb `load`: fetches a model and its set, checks every header, and describes them. */
import { availableMemoryBytes } from '../../backend/budget.ts';
import { freeDiskBytes, readHubEnvironment } from '../../hub/resolve.ts';
import { kindOf, readActivation } from '../../transcoder/activations/read.ts';
import { tensorsOf, type LayerSource } from '../../transcoder/sources/source.ts';
import { plainType } from '../plain-type.ts';
import type { LoadRequest } from './types.ts';
import type { LoadResult, TranscoderLayerResult } from './types.ts';
import { openSubject, openTokenizer, type OpenedSubject } from '../opened-subject.ts';
import { spreadOf } from '../spread.ts';
import { Stopwatch } from '../stopwatch.ts';

/**
 * Fetches what is missing (or with `dryRun` reads headers where the files are), checks shapes and types of every tensor
 * against the configuration, and reads thresholds. No matrix is read.
 */
export async function load(request: LoadRequest): Promise<LoadResult> {
  const dryRun = request.dryRun ?? false;
  const watch = new Stopwatch();
  using opened = await watch.time('resolve', () => openSubject(request, { dryRun, mayLackSet: true }));
  const { model, transcoders } = opened.subject;
  if (!dryRun) await watch.time('tokenizer', () => openTokenizer(model));
  const layers: TranscoderLayerResult[] = await watch.time('verify', async () => {
    const described = [];
    for (const source of opened.set.layers) {
      request.signal?.throwIfAborted();
      described.push(await describeLayer(source, !dryRun));
    }
    return described;
  });
  const files = [...model.listed, ...transcoders.listed];
  const toFetch = files.filter(({ status }) => status === 'missing' || status === 'partial');
  const memory = { needed_bytes: residentBytes(opened), available_bytes: availableMemoryBytes() };
  const disk = {
    needed_bytes: toFetch.reduce((sum, file) => sum + file.bytes, 0),
    available_bytes: await freeDiskBytes(readHubEnvironment({ cacheDir: request.cacheDir }).cacheDir),
  };
  return {
    model: model.source.name,
    transcoders: transcoders.source.name,
    dry_run: dryRun,
    sources: { model: model.source, transcoders: transcoders.source },
    files,
    transcoder_keys: layers.map(({ layer }) => layer),
    layers,
    fits: memory.needed_bytes <= memory.available_bytes && disk.needed_bytes <= disk.available_bytes,
    memory,
    disk,
    timings_ms: watch.timings_ms,
  };
}

/** What a layer of a set is, from its header and (with `readThreshold`) its thresholds. */
export async function describeLayer(
  source: LayerSource,
  readThreshold: boolean,
): Promise<TranscoderLayerResult> {
  const activation = readThreshold ? await readActivation(source) : null;
  return {
    layer: source.layer,
    activation: kindOf(source.activation),
    ...('k' in source.activation && { k: source.activation.k }),
    threshold: activation?.threshold ? spreadOf(activation.threshold) : null,
    d_transcoder: source.d_transcoder,
    has_skip: source.W_skip !== null,
    dtype: plainType(source.W_enc.info.dtype),
  };
}

/** Bytes of everything that a run holds when memory allows: all of the model, and of the set all but its decoders. */
function residentBytes({ checkpoint, set }: OpenedSubject): number {
  const model = checkpoint.weights.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const parts = set.layers.flatMap(tensorsOf).filter(([name]) => name !== 'W_dec');
  return model + parts.reduce((sum, [, { info }]) => sum + info.byteLength, 0);
}
