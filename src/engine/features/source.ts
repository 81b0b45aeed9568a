/** Engine: pages and labels of a set's features, from local folders and the Hub. Used by `inspect`, `attribute` and the viewer. */
import { NetworkError, NotFoundError } from '../../errors.ts';
import { FetchedFeatures } from '../../features/fetched/fetched-features.ts';
import { requireFolderPages, openFolderPages } from '../../features/folder-pages.ts';
import { HubPages } from '../../features/hub-pages.ts';
import { LabelFile } from '../../features/labels.ts';
import { ModelLabelFile } from '../../features/model-labels.ts';
import { featureKey, type PageSource } from '../../features/page-source.ts';
import type { HubClient } from '../../hub/resolve.ts';
import type { Example, KnownFeatures } from '../../suggest/known.ts';
import type { FeaturePage } from '../../transcoder/feature-page.ts';
import type { SetDescription } from '../../transcoder/description.ts';
import { hubClient } from '../names.ts';
import type { CommonOptions } from '../request.ts';
import type { SourceResult } from '../result.ts';
import { isSame, labelKey, referenceOfScan, referenceOfSet, type RecordedSet } from './set-reference.ts';
import type { ShownLabel } from './types.ts';

export type { RecordedSet } from './set-reference.ts';

export interface FeatureSourceRequest extends Pick<
  CommonOptions,
  'cacheDir' | 'offline' | 'signal' | 'onProgress'
> {
  /** A folder with pages, which is searched first. */
  readonly folder?: string | undefined;
  /** Name under which pages and labels are looked up. */
  readonly scan: string;
  /** Location of the set, if known; otherwise it is derived from `scan`. */
  readonly set?: SourceResult | RecordedSet | undefined;
  /**
   * Which repositories `scan` may lead to: any that it names (default), or those of presets only, for a scan out of a file
   * that may come from anywhere and must not make this machine ask for what it likes.
   */
  readonly scanLeadsTo?: 'repositories' | 'presets' | undefined;
  /** The Hub client of the run, if there is one already. */
  readonly client?: HubClient | undefined;
}

type LayerFeature = readonly [layer: number, feature: number];

export interface FeatureSource {
  /** Names of the sources, for messages. */
  readonly source: string;
  /** Why a page could not be fetched; null when nothing went wrong. */
  readonly problem: string | null;
  /** The labels that people wrote. */
  readonly labelFile: LabelFile;
  /** The labels that language models wrote. */
  readonly modelLabelFile: ModelLabelFile;
  /** What was fetched from Neuronpedia. */
  readonly fetched: FetchedFeatures;
  /** What the set is known by in the files of its labels. */
  readonly key: string;
  /** Null when no source has a page. Throws `BadFileError` for a damaged one; network errors are reported in `problem`. */
  page(layer: number, feature: number): Promise<FeaturePage | null>;
  /** One that a person wrote, else one of a language model, else one from Neuronpedia, else the automatic one of the page. */
  label(layer: number, feature: number): Promise<ShownLabel | null>;
  /** Stores a label and keeps those of other writers; an empty text removes it. Throws `UsageError` for an invalid text. */
  setLabel(layer: number, feature: number, text: string): Promise<ShownLabel | null>;
  /**
   * By `LAYER_FEATURE`: without features all edited labels, else those of the features, with those of language models and from
   * Neuronpedia, and where pages are on the local disk with automatic ones. Never uses the network.
   */
  labels(features?: Iterable<LayerFeature>): Promise<Record<string, string>>;
  /** The labels of features, with the examples of their pages on the local disk. Never uses the network. */
  known(features: readonly LayerFeature[]): Promise<KnownFeatures>;
}

/** Name under which pages and labels of a set are looked up: its own `scan`, else the name it was loaded by. */
export function scanOf({ config, source }: { config: SetDescription; source: SourceResult }): string {
  if (config.scan !== null) return config.scan;
  const { repository, subfolder, name } = source;
  if (repository === undefined) return name;
  return subfolder === undefined ? repository : `${repository}//${subfolder}`;
}

/** Reads local folders only; the Hub is asked when a page is requested. Throws `NotFoundError` for a `folder` without pages. */
export async function openFeatureSource(request: FeatureSourceRequest): Promise<FeatureSource> {
  const { folder, scan, set, scanLeadsTo = 'repositories', signal } = request;
  const client = request.client ?? hubClient(request);
  const sources: PageSource[] = [];
  if (folder !== undefined) sources.push(await requireFolderPages(folder, scan));
  const own = set ? referenceOfSet(set) : null;
  const named = referenceOfScan(scan, scanLeadsTo);
  for (const reference of [own, isSame(own, named) ? null : named]) {
    if (reference?.kind === 'hub') sources.push(new HubPages(reference, client, signal));
    const pages = reference?.kind === 'local' ? await openFolderPages(reference.path, scan) : null;
    if (pages) sources.push(pages);
  }
  const key = labelKey(scan, set);
  // What the user asked for comes before what is looked up by itself, and behind what is in the user's own folders.
  const fetched = FetchedFeatures.of(key);
  const ownPages = sources.filter(({ isLocal }) => isLocal);
  const published = sources.filter(({ isLocal }) => !isLocal);
  return new Features([...ownPages, fetched, ...published], key, fetched, request);
}

class Features implements FeatureSource {
  readonly source: string;
  readonly labelFile: LabelFile;
  readonly modelLabelFile: ModelLabelFile;
  readonly fetched: FetchedFeatures;
  readonly key: string;
  problem: string | null = null;
  readonly #sources: readonly PageSource[];
  readonly #request: FeatureSourceRequest;

  constructor(
    sources: readonly PageSource[],
    key: string,
    fetched: FetchedFeatures,
    request: FeatureSourceRequest,
  ) {
    this.source =
      sources
        .filter((source) => source !== fetched)
        .map(({ name }) => name)
        .join(', ') || 'none';
    this.key = key;
    this.fetched = fetched;
    this.labelFile = LabelFile.of(key);
    this.modelLabelFile = ModelLabelFile.of(key);
    this.#sources = sources;
    this.#request = request;
  }

  page(layer: number, feature: number): Promise<FeaturePage | null> {
    return this.#firstPage(this.#sources, layer, feature);
  }

  async label(layer: number, feature: number): Promise<ShownLabel | null> {
    const edited = (await this.labelFile.read()).get(featureKey(layer, feature));
    if (edited !== undefined) return { text: edited, origin: 'edited', share: null };
    const made = (await this.modelLabelFile.read()).get(featureKey(layer, feature));
    if (made !== undefined) {
      const { text, model, score, prompt_version } = made;
      return { text, origin: 'model', share: null, made_by: { model, score, prompt_version } };
    }
    const fetched = await this.fetched.label(layer, feature);
    if (fetched !== null) {
      const { text, ...rest } = fetched;
      return { text, origin: 'neuronpedia', share: null, fetched: rest };
    }
    const automatic = (await this.page(layer, feature))?.label;
    return automatic ? { text: automatic.text, origin: 'automatic', share: automatic.share } : null;
  }

  async setLabel(layer: number, feature: number, text: string): Promise<ShownLabel | null> {
    await this.labelFile.write([{ layer, feature, text }], this.#request.signal);
    return await this.label(layer, feature);
  }

  async labels(features?: Iterable<LayerFeature>): Promise<Record<string, string>> {
    if (!features) return Object.fromEntries(await this.labelFile.read());
    const local = this.#localSources();
    return await this.#labelsOf([...features], ([layer, feature]) => this.#firstPage(local, layer, feature));
  }

  async known(features: readonly LayerFeature[]): Promise<KnownFeatures> {
    const local = this.#localSources();
    const pages = new Map<string, FeaturePage>();
    for (const [layer, feature] of features) {
      const page = await this.#firstPage(local, layer, feature);
      if (page !== null) pages.set(featureKey(layer, feature), page);
    }
    const labels = await this.#labelsOf(features, (place) => pages.get(featureKey(...place)));
    return { labels, examples: Object.fromEntries([...pages].map(([key, page]) => [key, examplesOf(page)])) };
  }

  async #labelsOf(
    wanted: readonly LayerFeature[],
    pageOf: (place: LayerFeature) => Promise<FeaturePage | null> | FeaturePage | undefined,
  ): Promise<Record<string, string>> {
    const edited = await this.labelFile.read();
    const made = await this.modelLabelFile.read();
    const fetched = await this.fetched.labels(wanted);
    const found = new Map<string, string>();
    for (const place of wanted) {
      const key = featureKey(...place);
      if (found.has(key)) continue;
      const written = edited.get(key) ?? made.get(key)?.text ?? fetched.get(key)?.text;
      const text = written ?? (await pageOf(place))?.label?.text;
      if (text !== undefined) found.set(key, text);
    }
    return Object.fromEntries(found);
  }

  #localSources(): PageSource[] {
    return this.#sources.filter(({ isLocal }) => isLocal);
  }

  async #firstPage(
    sources: readonly PageSource[],
    layer: number,
    feature: number,
  ): Promise<FeaturePage | null> {
    for (const source of sources) {
      const page = await this.#tryPage(source, layer, feature);
      if (page) return page;
    }
    return null;
  }

  /** A repository that refuses access or cannot be reached does not prevent the rest of a feature from being shown. */
  async #tryPage(source: PageSource, layer: number, feature: number): Promise<FeaturePage | null> {
    try {
      return await source.page(layer, feature);
    } catch (error) {
      const isRefusal = error instanceof NetworkError || error instanceof NotFoundError;
      if (source.isLocal || !isRefusal) throw error;
      const message = `no feature page from ${source.name}: ${error.message}`;
      if (this.problem !== message) this.#request.onProgress?.({ kind: 'warning', message });
      this.problem = message;
      return null;
    }
  }
}

function examplesOf({ examples_quantiles }: FeaturePage): Example[] {
  return examples_quantiles.flatMap(({ examples }) =>
    examples.map(({ tokens, tokens_acts_list, train_token_ind }) => ({
      tokens,
      activations: tokens_acts_list,
      peak: train_token_ind,
    })),
  );
}
