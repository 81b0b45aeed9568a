/**
 * Features, pages in a repository on the Hub: its index is fetched once, then of each page that is looked at exactly its
 * bytes. All are of one commit and stay in the cache, so that they are there again without a network.
 */
import { NotFoundError } from '../errors.ts';
import { openFileSource } from '../formats/byte-source.ts';
import { type AskOptions, readPart, resolveUri, type HubClient, type HubReference } from '../hub/resolve.ts';
import {
  FEATURE_FOLDER,
  INDEX_FILE,
  parseFeatureIndex,
  parsePageChunk,
  placeOfPage,
  type FeatureIndex,
  type FeaturePage,
} from '../transcoder/feature-page.ts';
import type { PageSource } from './page-source.ts';

interface OpenedIndex {
  readonly index: FeatureIndex;
  readonly commit: string;
}

/** Errors that mean that a repository has no pages; other refusals (gated, not authorised) are reported. */
const NOTHING_THERE = ['file_not_found', 'repo_not_found', 'revision_not_found'];

export class HubPages implements PageSource {
  readonly isLocal = false;
  readonly #reference: HubReference;
  readonly #client: HubClient;
  readonly #asking: AskOptions;
  /** Null where the repository has none. */
  #opened: Promise<OpenedIndex | null> | undefined;

  constructor(reference: HubReference, client: HubClient, signal?: AbortSignal) {
    this.#reference = reference;
    this.#client = client;
    this.#asking = { signal, tries: 'unless_away' }; // a feature can be shown without its page
  }

  get name(): string {
    const { repo, subfolder, revision } = this.#reference;
    return `${repo}${subfolder === undefined ? '' : `//${subfolder}`}@${revision ?? 'main'}`;
  }

  /** Throws `NetworkError` for what is not in the cache and cannot be fetched, `NotFoundError` where access is refused. */
  async page(layer: number, feature: number): Promise<FeaturePage | null> {
    this.#opened ??= this.#open();
    // A failed request may be repeated.
    this.#opened.catch(() => (this.#opened = undefined));
    const opened = await this.#opened;
    if (opened === null) return null;
    const { repo } = this.#reference;
    const place = placeOfPage(opened.index, layer, feature, `${this.name}: ${this.#path(INDEX_FILE)}`);
    if (place === null) return null;
    const path = this.#path(place.filename);
    const part = { repo, commit: opened.commit, path, start: place.start, stop: place.stop };
    const chunk = await readPart(part, this.#client, this.#asking);
    return parsePageChunk(chunk, feature, `${repo}@${opened.commit}: ${path}`);
  }

  async #open(): Promise<OpenedIndex | null> {
    const { repo, revision } = this.#reference;
    const uri = `hf://${repo}/${this.#path(INDEX_FILE)}@${revision ?? 'main'}`;
    try {
      const resolved = await resolveUri(uri, { client: this.#client, ...this.#asking });
      using source = await openFileSource(resolved.path());
      const packed = new Uint8Array(source.size);
      await source.read(0, packed);
      return { index: parseFeatureIndex(packed, source.name), commit: resolved.source.commit };
    } catch (error) {
      if (error instanceof NotFoundError && NOTHING_THERE.includes(error.code)) return null;
      throw error;
    }
  }

  #path(file: string): string {
    const { subfolder } = this.#reference;
    return [...(subfolder === undefined ? [] : [subfolder]), FEATURE_FOLDER, file].join('/');
  }
}
