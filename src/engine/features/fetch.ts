/** Engine, verb `features fetch`: pages and labels of features from Neuronpedia, for sets that it knows. No weight is read. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkWritable } from '../../formats/atomic.ts';
import { acquireLock } from '../../formats/lock.ts';
import type { FetchContext } from '../../features/fetched/fetch-context.ts';
import { FetchedState, STATE_FILE } from '../../features/fetched/fetched-state.ts';
import { SinglePages } from '../../features/fetched/single-pages.ts';
import { activationsNote } from '../../neuronpedia/notes.ts';
import { parseSourceTemplate, templateText } from '../../neuronpedia/source-name.ts';
import { neuronpediaClient } from '../graph/neuronpedia-client.ts';
import { namedSubject } from '../graph-subject.ts';
import { graphOf } from './chosen.ts';
import { runEach } from './fetch-each.ts';
import { runExports } from './fetch-exports.ts';
import { checkWay, knownSource, layersOf, placesOf } from './fetch-request.ts';
import type { FeaturesFetchPlan, FeaturesFetchRequest, FeaturesFetchResult } from './fetch-types.ts';
import { openLabels } from './labels.ts';

const LOCK_FILE = '.lock';
/** What `writeFileAtomic` of a run that was killed left. */
const DRAFT = /^\..*\.tmp$/;
/** `2026-11-30T…`. */
const DAY_LETTERS = 10;

/**
 * Fetches what the request names, and is not there. What is complete stays, also when it fails or is stopped; the same request goes
 * on after it. Throws `UsageError` for a request that cannot be made and a set without a known source, `NotFoundError` for exports
 * that are not there, and what `fetchEach` and `fetchExports` throw.
 */
export async function fetchFeatures(
  request: FeaturesFetchRequest,
  today = new Date(),
): Promise<FeaturesFetchResult | FeaturesFetchPlan> {
  checkWay(request);
  const given = request.source === undefined ? undefined : parseSourceTemplate(request.source, '--source');
  const graph = await graphOf(request);
  const subject = graph === undefined ? request : namedSubject(graph, request);
  const opened = await openLabels(subject);
  const { features, scan, counts, name } = opened;
  const template = given ?? knownSource(name, scan);
  const layers = request.bulk ? layersOf(request.layers, counts) : null;
  const places = layers === null ? placesOf(request, graph, counts) : [];
  const { fetched, key } = features;
  const onWarning = (message: string): void => request.onProgress?.({ kind: 'warning', message });
  await using _lock = request.dryRun ? null : await lockFolder(fetched.name, request.signal, onWarning);
  const context: FetchContext = {
    http: neuronpediaClient(request),
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
  if (!request.dryRun) {
    await context.state.save();
    // What a run that was killed had fetched.
    await (await SinglePages.open(fetched.name)).merge(request.signal);
  }
  const description = {
    transcoders: name,
    scan,
    folder: fetched.name,
    source: templateText(template),
    note: activationsNote(templateText(template)),
  };
  return layers === null
    ? await runEach(request, context, places, description)
    : await runExports(request, context, layers, description);
}

/** Throws `ExhaustedError` for a folder that cannot be written. */
async function lockFolder(
  folder: string,
  signal: AbortSignal | undefined,
  onWarning: (message: string) => void,
): Promise<AsyncDisposable> {
  await checkWritable(join(folder, STATE_FILE));
  const lock = await acquireLock(join(folder, LOCK_FILE), {
    signal,
    onWait: () => onWarning('another process is fetching features of this set; waiting for it'),
  });
  for (const name of await readdir(folder)) {
    if (DRAFT.test(name)) await rm(join(folder, name), { force: true });
  }
  return lock;
}
