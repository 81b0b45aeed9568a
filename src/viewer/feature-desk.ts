/** Viewer: pages and labels of features, one source for each transcoder set that the graphs were made with. */
import {
  openFeatureSource,
  type FeatureSource,
  type FeatureSourceRequest,
} from '../engine/features/source.ts';
import { NotFoundError, TracerError } from '../errors.ts';
import { placeOfNode, sanitiseName, type ViewerGraph } from '../graph/neuronpedia.ts';
import type { FeatureDetail } from './api.ts';
import type { HeldModel } from './held-model.ts';
import type { OpenGraph } from './opened-graphs.ts';

/** What `serve` itself was given: a folder of pages, and how the Hub is asked. */
export type FeatureOptions = Pick<FeatureSourceRequest, 'folder' | 'cacheDir' | 'offline' | 'onProgress'>;

/** Sets whose features have pages on Neuronpedia, by their scan as files spell it: where layer and feature go. */
const NEURONPEDIA: ReadonlyMap<string, (layer: number, feature: number) => string> = new Map(
  ['mwhanna-gemma-scope-transcoders', 'gemma-2-2b'].map((scan) => [
    scan,
    (layer, feature) =>
      `https://www.neuronpedia.org/gemma-2-2b/${layer}-gemmascope-transcoder-16k/${feature}`,
  ]),
);

export class FeatureDesk {
  private readonly options: FeatureOptions;
  private readonly model: HeldModel | null;
  private readonly told = new Set<string>();
  private readonly sources = new Map<string, Promise<FeatureSource>>();

  constructor(options: FeatureOptions, model: HeldModel | null) {
    this.options = options;
    this.model = model;
  }

  async detail(open: OpenGraph, layer: number, feature: number): Promise<FeatureDetail> {
    const source = await this.sourceOf(open);
    const [page, label] = await Promise.all([source.page(layer, feature), source.label(layer, feature)]);
    const neuronpedia = NEURONPEDIA.get(sanitiseName(scanOf(open)))?.(layer, feature) ?? null;
    return { layer, feature, page, label, neuronpedia };
  }

  async setLabel(open: OpenGraph, layer: number, feature: number, text: string): Promise<FeatureDetail> {
    const source = await this.sourceOf(open);
    await source.setLabel(layer, feature, text);
    return await this.detail(open, layer, feature);
  }

  /** Of the features that are drawn, by `LAYER_FEATURE`. Damaged pages are told of, and do not keep a graph from being read. */
  async labels(open: OpenGraph, drawn: ViewerGraph): Promise<Record<string, string>> {
    const source = await this.sourceOf(open);
    return (await this.orWarn(() => source.labels(featuresOf(drawn)))) ?? {};
  }

  /** All that is known of the features that are drawn, by `LAYER_FEATURE`. */
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

  /** Null, and a warning where the server was started, for what cannot be read. */
  private async orWarn<T>(read: () => Promise<T>): Promise<T | null> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof TracerError)) throw error;
      if (!this.told.has(error.message)) {
        this.options.onProgress?.({ kind: 'warning', message: error.message });
      }
      this.told.add(error.message);
      return null;
    }
  }

  private sourceOf(open: OpenGraph): Promise<FeatureSource> {
    const { scan, set } = this.lookupOf(open);
    const key = JSON.stringify([scan, set]);
    const known = this.sources.get(key);
    if (known !== undefined) return known;
    const opening = this.openSource({ ...this.options, scan, set, scanLeadsTo: 'presets' });
    this.sources.set(key, opening);
    opening.catch(() => this.sources.delete(key)); // the next request may have more luck
    return opening;
  }

  /** The folder that was given may hold the pages of other sets than this graph's. */
  private async openSource(request: FeatureSourceRequest): Promise<FeatureSource> {
    try {
      return await openFeatureSource(request);
    } catch (error) {
      if (request.folder === undefined || !(error instanceof NotFoundError)) throw error;
      return await openFeatureSource({ ...request, folder: undefined });
    }
  }

  /**
   * Which folders are read and which repositories are asked is never up to what a graph's file says: the set is the one that
   * the server was given, where the graph is of it, or one that the file knows the commit of.
   */
  private lookupOf(open: OpenGraph): Pick<FeatureSourceRequest, 'scan' | 'set'> {
    const scan = scanOf(open);
    const recorded = open.kind === 'graph' ? open.graph.provenance.transcoders : undefined;
    if (!this.model?.fits(open)) return { scan, set: recorded };
    const { identity } = this.model;
    // A file may spell the set's own name in another way, and labels are kept under the set's.
    const isOwnName = recorded === undefined || scan === recorded.name;
    return { scan: isOwnName ? identity.scan : scan, set: identity.set };
  }
}

function scanOf(open: OpenGraph): string {
  return open.kind === 'graph' ? open.graph.provenance.scan : open.viewer.metadata.scan;
}

function featuresOf({ nodes }: ViewerGraph): (readonly [layer: number, feature: number])[] {
  return nodes.flatMap((node) => {
    const place = placeOfNode(node);
    return place ? [[place.layer, place.feature] as const] : [];
  });
}
