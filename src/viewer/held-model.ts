/** Viewer: the model of tracing and steering. It is loaded when it is first needed and then stays loaded. */
import { TracerError } from '../errors.ts';
import { scanOf } from '../engine/features/source.ts';
import { sourceReference } from '../engine/origin.ts';
import { REQUEST_DEFAULTS, type CommonOptions } from '../engine/request.ts';
import type { SourceResult } from '../engine/result.ts';
import { openSubject } from '../engine/opened-subject.ts';
import { openSession, type Session } from '../engine/session.ts';
import type { SourceReference } from '../graph/graph.ts';
import { asciiName } from '../graph/slug.ts';
import { CONFIG_FILE } from '../model/checkpoint.ts';
import type { ServerInfo } from './api.ts';
import type { OpenGraph } from './graph-cache.ts';

export interface ChosenModel extends Pick<ServerInfo, 'why'> {
  readonly model: HeldModel | null;
}

export interface ModelChoice {
  readonly common: CommonOptions;
  /** Whether the model was named on the command line: then it is an error not to have it. */
  readonly isRequired: boolean;
  /** Scans of the graphs that are served: without a named model, the embedded one is used if one of them is its own. */
  readonly scans: readonly string[];
}

/** Names, commits and hashes of a model and its set, read without any weight. */
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

  /** Reads headers only. Throws what `openSubject` throws if a model is required. */
  static async choose({ common, isRequired, scans }: ModelChoice): Promise<ChosenModel> {
    const isNamed = common.model !== undefined || common.transcoders !== undefined;
    const request = isNamed ? common : { ...common, model: REQUEST_DEFAULTS.model };
    try {
      const held = new HeldModel(request, await identify(request));
      const scan = asciiName(held.identity.scan);
      if (isNamed || scans.length === 0 || scans.some((one) => asciiName(one) === scan)) {
        return { model: held, why: null };
      }
      return { model: null, why: 'none of the graphs was made with the embedded model' };
    } catch (error) {
      if (isRequired || !(error instanceof TracerError)) throw error;
      return { model: null, why: [error.message, error.hint].filter(Boolean).join('. ') };
    }
  }

  /** Whether a graph was made with this model and set, by what its file records. */
  fits(open: OpenGraph): boolean {
    if (open.kind === 'viewer') return asciiName(open.viewer.metadata.scan) === asciiName(this.identity.scan);
    return this.isMadeWith(open.graph.provenance);
  }

  /** Whether graphs that record this model and set were made with them. */
  isMadeWith(made: { readonly model: SourceReference; readonly transcoders: SourceReference }): boolean {
    const { model, transcoders } = this.identity;
    return isSame(made.model, model) && isSame(made.transcoders, transcoders);
  }

  /** The loaded model. For one caller at a time: it is loaded once, and an aborted load leaves nothing behind. */
  async open(work: Pick<CommonOptions, 'signal' | 'onProgress'>): Promise<Session> {
    this.session ??= await openSession({ ...this.common, ...work });
    return this.session;
  }

  /** Must not be called while the session is in use. */
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
    model: await sourceReference(model, [CONFIG_FILE]),
    transcoders: await sourceReference(transcoders, transcoders.config.configFiles),
  };
}

/** Compares the commit or the hash of the configuration if both sides have it, so that a moved folder is recognised; else the name. */
function isSame(ofGraph: SourceReference, ofModel: SourceReference): boolean {
  for (const key of ['revision', 'config_sha256'] as const) {
    if (ofGraph[key] !== null && ofModel[key] !== null) return ofGraph[key] === ofModel[key];
  }
  return ofGraph.name === ofModel.name;
}
