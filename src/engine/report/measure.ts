/** Engine, `report`: boxes are switched off in the model, if it is at hand; why it is not is part of the page. */
import { NetworkError, NotFoundError, UsageError, type TracerError } from '../../errors.ts';
import { featureOf, type Graph } from '../../graph/graph.ts';
import { Freeze } from '../../intervention/freeze.ts';
import { originalPass } from '../../intervention/intervene.ts';
import type { HookName } from '../../model/hooks.ts';
import type { ForwardResult } from '../../model/transformer.ts';
import type { PaperMeasured, PaperSaid } from '../../paper/paper.ts';
import { checkFits, graphSubject, ignoredPositions } from '../graph-subject.ts';
import { mostLikely } from '../next-tokens.ts';
import { openSession, type Session } from '../session.ts';
import { passWithout, type GraphFeature } from '../validate/switch-off.ts';
import { BEFORE_CAP, readTarget } from '../validate/validate.ts';
import type { OpenedGraph } from './open.ts';
import type { ReportRequest } from './types.ts';

/** Code of errors that say that the network is switched off. */
const OFFLINE = 'offline';

/** The features of a box, or of all of them. */
export interface Removal {
  readonly box: number | null;
  readonly nodes: readonly number[];
}

interface Reading {
  /** Null for a direction. */
  readonly targets: readonly ({ readonly change: number; readonly probability: number } | null)[];
  readonly says: PaperSaid;
}

export type Measurement =
  | { readonly state: 'measured'; readonly summary: PaperMeasured; readonly rows: readonly Reading[] }
  | NotMeasured;
interface NotMeasured {
  readonly state: 'not_measured';
  readonly reason: string;
}

export function notMeasured(reason: string): NotMeasured {
  return { state: 'not_measured', reason };
}

/**
 * In the session that is open already, or in one of its own.
 * @param targets logits of the graph
 */
export async function measure(
  request: ReportRequest,
  { pruned, viewer }: OpenedGraph,
  targets: readonly number[],
  removals: readonly Removal[],
  held?: Session,
): Promise<Measurement> {
  if (request.measure === false) return notMeasured('it was asked for without (--no-measure)');
  if (viewer !== undefined) {
    return notMeasured(
      'the file is a viewer’s, which has neither the ids of the tokens nor the files of the model; the graph file has both',
    );
  }
  const { graph } = pruned;
  const isNamed = request.model !== undefined || request.transcoders !== undefined;
  try {
    if (held !== undefined) return await measureIn(held, request, graph, targets, removals);
    // What nobody named is not downloaded: the model is at hand or it is not.
    const subject = graphSubject(graph, isNamed ? request : { ...request, offline: true });
    using session = await openSession(subject, { n_ignored: ignoredPositions(graph) });
    return await measureIn(session, request, graph, targets, removals);
  } catch (error) {
    if (isNamed || !isNotAtHand(error)) throw error;
    const why = whyNot(error, request, graph);
    request.onProgress?.({ kind: 'warning', message: `effects are not measured: ${why}` });
    return notMeasured(`the model of the graph is not at hand: ${why}`);
  }
}

/** The network was switched off by `measure`, which the reader of the error does not know. */
function whyNot(error: TracerError, { offline }: ReportRequest, { provenance }: Graph): string {
  if (error.code !== OFFLINE || offline === true) return error.message.replace(/\.$/, '');
  const names = [...new Set([provenance.model.name, provenance.transcoders.name])].join(' or ');
  return `${names} is not on this machine, and nothing is fetched unless --model or --transcoders names it`;
}

/** Not there, not to be reached, or another one than the graph's. What is damaged or too large is an error of its own. */
function isNotAtHand(error: unknown): error is TracerError {
  return error instanceof NotFoundError || error instanceof NetworkError || error instanceof UsageError;
}

async function measureIn(
  session: Session,
  { signal, onProgress }: ReportRequest,
  graph: Graph,
  targets: readonly number[],
  removals: readonly Removal[],
): Promise<Measurement> {
  checkFits(session, graph);
  const { replacement, stopwatch, tokenizer } = session;
  const { n_layers, d_vocab } = replacement.model.config;
  const freeze = new Freeze({}, n_layers);
  const options = {
    logits: 'last' as const,
    capture: (name: HookName): boolean => name === BEFORE_CAP,
    ...(signal && { signal }),
  };
  const tokens = Array.from(graph.input_tokens);
  const features = removals.map(({ nodes }) => nodes.map((node) => namedFeature(graph, node)));
  const inputLayers = new Set(features.flat().map(({ layer }) => layer));
  using original = await stopwatch.time('original', () =>
    originalPass(replacement, tokens, freeze, { ...options, inputLayers }),
  );
  const ids = targets.map((logit) => graph.logit_token_ids[logit]!);
  const read = async (pass: ForwardResult) => {
    const values: (Awaited<ReturnType<typeof readTarget>> | null)[] = [];
    for (const id of ids) values.push(id < d_vocab ? await readTarget(pass, id) : null);
    const [first] = mostLikely(await pass.lastLogits(), 1, tokenizer);
    return { targets: values, says: { token: first!.text, probability: first!.probability } };
  };
  const before = await read(original);
  const rows: Reading[] = [];
  for (const [done, own] of features.entries()) {
    onProgress?.({
      kind: 'progress',
      phase: 'ablate',
      message: 'Switching boxes off',
      done,
      total: features.length,
    });
    using changed = await passWithout(session, original, tokens, own, freeze, {
      ...options,
      inputLayers: [],
    });
    const after = await read(changed);
    rows.push({
      targets: after.targets.map((value, i) =>
        value === null
          ? null
          : { change: value.centred - before.targets[i]!.centred, probability: value.probability },
      ),
      says: after.says,
    });
  }
  const { model, transcoders, backend, device, dtype } = session.description;
  const probabilities = before.targets.map((value) => value?.probability ?? null);
  return {
    state: 'measured',
    summary: {
      state: 'measured',
      model,
      transcoders,
      backend,
      device,
      dtype,
      says: before.says,
      probabilities,
    },
    rows,
  };
}

function namedFeature(graph: Graph, node: number): GraphFeature {
  const place = featureOf(graph, node);
  return { id: `${place.layer}:${place.position}:${place.feature}`, ...place };
}
