/** Viewer: looks up pages and labels of features, in one source for each transcoder set that the graphs were made with. */
import {
  openFeatureSource,
  type FeatureSource,
  type FeatureSourceRequest,
  type RecordedSet,
} from '../engine/features/source.ts';
import { NotFoundError, TracerError } from '../errors.ts';
import { featuresOf, type ViewerGraph } from '../graph/neuronpedia.ts';
import { neuronpediaPage } from '../neuronpedia/sources.ts';
import type { StudyDescription } from '../study/description.ts';
import { NOTHING_KNOWN, type KnownFeatures } from '../suggest/known.ts';
import type { FeatureDetail } from './api.ts';
import type { HeldModel } from './held-model.ts';
import type { OpenGraph } from './graph-cache.ts';

/** Options of `serve`: a folder of pages, and how the Hub is used. */
export type FeatureOptions = Pick<FeatureSourceRequest, 'folder' | 'cacheDir' | 'offline' | 'onProgress'>;

/** What graphs were made with. */
interface LabelledSubject {
  readonly scan: string;
  /** The set, as a graph file or a study records it. */
  readonly recorded: RecordedSet | undefined;
  /** Whether it is that of the server. */
  readonly isOwn: boolean;
}

export class FeatureLookup {
  private readonly options: FeatureOptions;
  private readonly model: HeldModel | null;
  /** Messages of warnings that were reported already. */
  private readonly reported = new Set<string>();
  private readonly sources = new Map<string, Promise<FeatureSource>>();

  constructor(options: FeatureOptions, model: HeldModel | null) {
    this.options = options;
    this.model = model;
  }

  async detail(open: OpenGraph, layer: number, feature: number): Promise<FeatureDetail> {
    const source = await this.sourceOf(this.subjectOf(open));
    const [page, label] = await Promise.all([source.page(layer, feature), source.label(layer, feature)]);
    const neuronpedia = neuronpediaPage(scanOf(open), layer, feature);
    return { layer, feature, page, label, neuronpedia };
  }

  async setLabel(open: OpenGraph, layer: number, feature: number, text: string): Promise<FeatureDetail> {
    const source = await this.sourceOf(this.subjectOf(open));
    await source.setLabel(layer, feature, text);
    return await this.detail(open, layer, feature);
  }

  /** Labels of the features that are drawn, by `LAYER_FEATURE`. A damaged page is reported as a warning; the graph still opens. */
  async labels(open: OpenGraph, drawn: ViewerGraph): Promise<Record<string, string>> {
    const source = await this.sourceOf(this.subjectOf(open));
    return (await this.orWarn(() => source.labels(featuresOf(drawn)))) ?? {};
  }

  /** Labels and examples of features, by `LAYER_FEATURE`; damaged pages as in `labels`. */
  async knownOf(
    open: OpenGraph,
    features: readonly (readonly [layer: number, feature: number])[],
  ): Promise<KnownFeatures> {
    const source = await this.sourceOf(this.subjectOf(open));
    return (await this.orWarn(() => source.known(features))) ?? NOTHING_KNOWN;
  }

  /** Labels of features of a study, by `LAYER_FEATURE`; damaged pages as in `labels`. */
  async labelsOfStudy(
    { scan, model, transcoders }: StudyDescription,
    features: readonly (readonly [layer: number, feature: number])[],
  ): Promise<Record<string, string>> {
    const isOwn = this.model?.isMadeWith({ model, transcoders }) ?? false;
    const source = await this.sourceOf({ scan, recorded: transcoders, isOwn });
    return (await this.orWarn(() => source.labels(features))) ?? {};
  }

  /** Pages and labels of the features that are drawn, by `LAYER_FEATURE`. */
  async details(open: OpenGraph, drawn: ViewerGraph): Promise<Record<string, FeatureDetail>> {
    const found: Record<string, FeatureDetail> = {};
    for (const [layer, feature] of featuresOf(drawn)) {
      const key = `${layer}_${feature}`;
      if (key in found) continue;
      const detail = await this.orWarn(() => this.detail(open, layer, feature));
      if (detail !== null) found[key] = detail;
    }
    return found;
  }

  /** Null when `read` throws a `TracerError`, which is reported once as a warning on the terminal. */
  private async orWarn<T>(read: () => Promise<T>): Promise<T | null> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof TracerError)) throw error;
      if (!this.reported.has(error.message)) {
        this.options.onProgress?.({ kind: 'warning', message: error.message });
      }
      this.reported.add(error.message);
      return null;
    }
  }

  private subjectOf(open: OpenGraph): LabelledSubject {
    const recorded = open.kind === 'graph' ? open.graph.provenance.transcoders : undefined;
    return { scan: scanOf(open), recorded, isOwn: this.model?.fits(open) ?? false };
  }

  private sourceOf(subject: LabelledSubject): Promise<FeatureSource> {
    const { scan, set } = this.requestFor(subject);
    const key = JSON.stringify([scan, set]);
    const known = this.sources.get(key);
    if (known !== undefined) return known;
    const opening = this.openSource({ ...this.options, scan, set, scanLeadsTo: 'presets' });
    this.sources.set(key, opening);
    opening.catch(() => this.sources.delete(key)); // the next request tries again
    return opening;
  }

  /** The folder of --features may have the pages of other sets only: the set's own source is used then. */
  private async openSource(request: FeatureSourceRequest): Promise<FeatureSource> {
    try {
      return await openFeatureSource(request);
    } catch (error) {
      if (request.folder === undefined || !(error instanceof NotFoundError)) throw error;
      return await openFeatureSource({ ...request, folder: undefined });
    }
  }

  /**
   * A graph file alone does not decide which folder is read or which repository is queried: the set is the one that the server
   * was started with, if the graph was made with it, else one whose commit the file records.
   */
  private requestFor({ scan, recorded, isOwn }: LabelledSubject): Pick<FeatureSourceRequest, 'scan' | 'set'> {
    if (this.model === null || !isOwn) return { scan, set: recorded };
    const { identity } = this.model;
    // A viewer file may spell the scan in another way; labels are stored under the set's own spelling.
    const isOwnName = recorded === undefined || scan === recorded.name;
    return { scan: isOwnName ? identity.scan : scan, set: identity.set };
  }
}

function scanOf(open: OpenGraph): string {
  return open.kind === 'graph' ? open.graph.provenance.scan : open.viewer.metadata.scan;
}
