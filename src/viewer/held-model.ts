/** Viewer: the model that prompts are traced and features are steered with. Loaded when it is first needed, then held. */
import { TracerError } from '../errors.ts';
import { scanOf } from '../engine/features/source.ts';
import { sourceReference } from '../engine/provenance.ts';
import { REQUEST_DEFAULTS, type CommonOptions } from '../engine/request.ts';
import type { SourceResult } from '../engine/result.ts';
import { openSession, openSubject, type Session } from '../engine/session.ts';
import type { SourceReference } from '../graph/graph.ts';
import { sanitiseName } from '../graph/neuronpedia.ts';
import { CONFIG_FILE } from '../model/checkpoint.ts';
import { SET_CONFIG_FILE } from '../transcoder/open.ts';
import type { ServerInfo } from './api.ts';
import type { OpenGraph } from './opened-graphs.ts';

export interface ChosenModel extends Pick<ServerInfo, 'why'> {
  readonly model: HeldModel | null;
}

export interface ModelChoice {
  readonly common: CommonOptions;
  /** Whether the model was asked for on the command line, so that serving without it would not be what was wanted. */
  readonly isRequired: boolean;
  /** What the graphs that are served were made with: without a name, the embedded model is taken where it fits. */
  readonly scans: readonly string[];
}

/** What a model and its set are known by, without a weight read. */
interface Identity {
  readonly names: { readonly model: string; readonly transcoders: string };
  readonly scan: string;
  readonly set: SourceResult;
  readonly model: SourceReference;
  readonly transcoders: SourceReference;
}

export class HeldModel {
  readonly identity: Identity;
  private readonly common: CommonOptions;
  private session: Session | undefined;

  private constructor(common: CommonOptions, identity: Identity) {
    this.common = common;
    this.identity = identity;
  }

  /** Looks at headers only. Throws what `openSubject` throws where a model is required. */
  static async choose({ common, isRequired, scans }: ModelChoice): Promise<ChosenModel> {
    const isNamed = common.model !== undefined || common.transcoders !== undefined;
    const request = isNamed ? common : { ...common, model: REQUEST_DEFAULTS.model };
    try {
      const held = new HeldModel(request, await identify(request));
      const scan = sanitiseName(held.identity.scan);
      if (isNamed || scans.length === 0 || scans.some((one) => sanitiseName(one) === scan)) {
        return { model: held, why: null };
      }
      return { model: null, why: 'none of the graphs was made with the embedded model' };
    } catch (error) {
      if (isRequired || !(error instanceof TracerError)) throw error;
      return { model: null, why: [error.message, error.hint].filter(Boolean).join('. ') };
    }
  }

  /** Whether a graph was made with this model and set, as far as its file tells. */
  fits(open: OpenGraph): boolean {
    const { scan, model, transcoders } = this.identity;
    if (open.kind === 'viewer') return sanitiseName(open.viewer.metadata.scan) === sanitiseName(scan);
    const { provenance } = open.graph;
    return isSame(provenance.model, model) && isSame(provenance.transcoders, transcoders);
  }

  /** The loaded model. One caller at a time: it is loaded once, and a caller that gives up does not leave half of it. */
  async open(work: Pick<CommonOptions, 'signal' | 'onProgress'>): Promise<Session> {
    this.session ??= await openSession({ ...this.common, ...work });
    return this.session;
  }

  /** Nobody may be using it any more. */
  close(): void {
    this.session?.[Symbol.dispose]();
    this.session = undefined;
  }
}

async function identify(request: CommonOptions): Promise<Identity> {
  using opened = await openSubject(request, { dryRun: true });
  const { model, transcoders } = opened.subject;
  return {
    names: { model: model.source.name, transcoders: transcoders.source.name },
    scan: scanOf(transcoders),
    set: transcoders.source,
    model: await sourceReference(model, CONFIG_FILE),
    transcoders: await sourceReference(transcoders, SET_CONFIG_FILE),
  };
}

/** By the commit or the hash of the configuration where both have it, which holds wherever a folder was moved; else by name. */
function isSame(ofGraph: SourceReference, ofModel: SourceReference): boolean {
  for (const key of ['revision', 'config_sha256'] as const) {
    if (ofGraph[key] !== null && ofModel[key] !== null) return ofGraph[key] === ofModel[key];
  }
  return ofGraph.name === ofModel.name;
}
