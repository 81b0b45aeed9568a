/** A loopback Neuronpedia, a folder for what is fetched, and `features fetch` of the embedded set against the two. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
import {
  exportFilesOf,
  featurePath,
  NP_SOURCE,
  sourceAt,
  wholeFeatureOf,
} from '../support/neuronpedia-exports.ts';
import { NeuronpediaServer } from '../support/neuronpedia-server.ts';
import { environment, scratchFolder, type Scratch } from '../support/scratch.ts';

export const KEY = 'sk-np-secret-0123456789';
const TODAY = new Date('2026-11-30T12:00:00Z');

export class FetchFixture implements AsyncDisposable {
  readonly server: NeuronpediaServer;
  readonly events: EngineEvent[] = [];
  /** The folder of this fixture, and in it that of what is fetched. */
  readonly root: string;
  readonly store: string;
  readonly #scratch: Scratch;
  readonly #variables: Disposable;

  private constructor(server: NeuronpediaServer) {
    this.server = server;
    this.#scratch = scratchFolder();
    this.root = this.#scratch.path;
    this.store = join(this.root, 'neuronpedia');
    this.#variables = environment({
      TRACER_NEURONPEDIA_DIR: this.store,
      TRACER_LABELS_DIR: join(this.root, 'labels'),
      NEURONPEDIA_BASE_URL: server.baseUrl,
      NEURONPEDIA_EXPORTS_URL: server.storageUrl,
      NEURONPEDIA_API_KEY: KEY,
      HF_HUB_OFFLINE: '1',
    });
  }

  static async start(): Promise<FetchFixture> {
    return new FetchFixture(await NeuronpediaServer.start());
  }

  async fetch(request: FeaturesFetchRequest): Promise<FeaturesFetchResult> {
    const result = await this.#run(request);
    if (result.dry_run) throw new Error('it was a dry run');
    return result;
  }

  /** Of places as `1:5`. */
  async each(...places: string[]): Promise<FeaturesFetchResult> {
    return await this.fetch({ chosen: places.map(place) });
  }

  async plan(request: FeaturesFetchRequest): Promise<FeaturesFetchPlan> {
    const plan = await this.#run({ ...request, dryRun: true });
    if (!plan.dry_run) throw new Error('it was no dry run');
    return plan;
  }

  async #run(request: FeaturesFetchRequest): Promise<FeaturesFetchResult | FeaturesFetchPlan> {
    const onProgress = (event: EngineEvent): void => void this.events.push(event);
    return await fetchFeatures(
      { source: NP_SOURCE, retry: { firstWaitMs: 1 }, onProgress, ...request },
      TODAY,
    );
  }

  /** The server has these features from now on. */
  offer(...places: string[]): void {
    for (const { layer, feature } of places.map(place)) {
      this.server.pages.set(featurePath(layer, feature), wholeFeatureOf(layer, feature));
    }
  }

  offerExports(layer: number, features: readonly number[]): void {
    for (const [path, file] of exportFilesOf(layer, features)) this.server.stored.set(path, file);
  }

  async source(): Promise<FeatureSource> {
    return await openFeatureSource({ scan: 'embedded', offline: true });
  }

  warnings(): string[] {
    return this.events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#variables[Symbol.dispose]();
    this.#scratch[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

export function place(text: string): { layer: number; feature: number } {
  const [layer, feature] = text.split(':').map(Number);
  return { layer: layer!, feature: feature! };
}

export function exportPath(layer: number, name: string): string {
  return `/v1/some-model/${sourceAt(layer)}/${name}.jsonl.gz`;
}

export async function failureOf(work: Promise<unknown>): Promise<TracerError> {
  const outcome = await work.catch((error: unknown) => error);
  if (outcome instanceof TracerError) return outcome;
  throw new Error(`no TracerError: ${String(outcome)}`);
}

/** Every file below a folder, by its path. */
export function filesIn(folder: string): Record<string, Buffer> {
  if (!existsSync(folder)) return {};
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path)]));
}
