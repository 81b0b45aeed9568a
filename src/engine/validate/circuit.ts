/**
 * Engine, verb `graph validate` of a circuit: whether a circuit of many prompts holds in the model on prompts that were not used to find
 * it, as one number with an interval, beside as many random features.
 */
import { UsageError } from '../../errors.ts';
import { readGraph } from '../../graph/files.ts';
import type { Graph } from '../../graph/graph.ts';
import { Freeze } from '../../intervention/freeze.ts';
import { Random } from '../../random.ts';
import { bootstrap } from '../../study/bootstrap.ts';
import { openStudy } from '../../study/open.ts';
import { checkResultFile, writeResultTable } from '../../study/result-table.ts';
import { failureOf } from '../failure.ts';
import { checkDepth, namedSubject } from '../graph-subject.ts';
import { frozenResult } from '../intervene/prepare.ts';
import type { Computed, FrozenResult } from '../intervene/types.ts';
import { isOfOnePrompt } from '../prompt-faults.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes } from '../stopwatch.ts';
import { readConsensus, type Consensus } from '../study/consensus.ts';
import { STUDY_DEFAULTS } from '../study/types.ts';
import { writtenFile } from '../written-file.ts';
import { promptsOfGraphs, refuseStudy, unusedGraphs, unusedLines } from './held-out.ts';
import { measureCircuit, type MeasuredCircuit } from './measure.ts';
import { rankCorrelation } from './rank.ts';
import {
  READINGS,
  type CircuitShare,
  type FailedPrompt,
  type ValidateCircuitRequest,
  type ValidateCircuitResult,
  type ValidatedPrompt,
} from './types.ts';
import { VALIDATION_COLUMNS, validationRow } from './validation-table.ts';
import { checkIsToken } from './validate.ts';

/**
 * Runs one prompt after the other in one session. Throws what `readGraph`, `readConsensus`, `openStudy` and `readPromptList` throw, and
 * `UsageError` where fewer than two prompts were not used; lines of a list that cannot be used are part of the result.
 */
export async function validateCircuit(request: ValidateCircuitRequest): Promise<ValidateCircuitResult> {
  const { output, file, seed = STUDY_DEFAULTS.seed, signal } = request;
  if (output !== undefined) await checkResultFile(output);
  await refuseStudy(file);
  const graph = await readGraph(file);
  const consensus = readConsensus(file, graph);
  const run = request.study === undefined ? overList : overStudy;
  const { session: used, prompts, failed, where } = await run(request, graph, consensus, seed);
  if (output !== undefined) {
    await writeResultTable(output, VALIDATION_COLUMNS, prompts.map(validationRow), signal);
  }
  return {
    ...used,
    ...{ file, where, n_features: consensus.features.length, n_found_in: consensus.found_in.length, seed },
    ...summaryOf(prompts, seed),
    ...{ prompts, failed },
    files: output === undefined ? [] : [await writtenFile(output)],
    peak_rss_bytes: peakRssBytes(),
  };
}

interface Measured {
  readonly session: Omit<Computed, 'peak_rss_bytes'> & FrozenResult;
  readonly where: string;
  readonly prompts: readonly ValidatedPrompt[];
  readonly failed: readonly FailedPrompt[];
}

/** The study is read before a model is loaded: most mistakes show there. */
async function overStudy(
  request: ValidateCircuitRequest,
  graph: Graph,
  consensus: Consensus,
  seed: number,
): Promise<Measured> {
  using study = await openStudy(request.study!);
  const graphs = await unusedGraphs(study, graph, consensus, request.signal);
  using session = await sessionOf(request, graph);
  const circuit = measuredCircuit(session, consensus, request, seed);
  const prompts: ValidatedPrompt[] = [];
  for await (const { slug, prompt, tokens, answer, predicted } of promptsOfGraphs(study, graphs, consensus)) {
    report(request, prompts.length, graphs.length);
    checkIsToken(answer, session.replacement.model.config.d_vocab);
    const measured = await measureCircuit(session, tokens, answer, circuit);
    prompts.push({ slug, prompt, answer: textOf(session, measured.token_id), predicted, ...measured });
  }
  return { session: howComputed(session, circuit), where: request.study!, prompts, failed: [] };
}

async function overList(
  request: ValidateCircuitRequest,
  graph: Graph,
  consensus: Consensus,
  seed: number,
): Promise<Measured> {
  if (request.prompts === undefined) throw noPrompts();
  const listed = await unusedLines(request.prompts, consensus);
  using session = await sessionOf(request, graph);
  const circuit = measuredCircuit(session, consensus, request, seed);
  const prompts: ValidatedPrompt[] = [];
  const failed: FailedPrompt[] = listed.bad.map(({ line, slug, error }) => ({
    line,
    slug,
    ...failureOf(error),
  }));
  for (const { line, slug, prompt } of listed.prompts) {
    report(request, prompts.length + failed.length - listed.bad.length, listed.prompts.length);
    try {
      const tokens = session.prompts.attributionTokens({ prompt });
      const measured = await measureCircuit(session, tokens, null, circuit);
      const answer = textOf(session, measured.token_id);
      prompts.push({ slug, prompt, answer, predicted: null, ...measured });
    } catch (error) {
      if (!isOfOnePrompt(error)) throw error;
      failed.push({ line, slug, ...failureOf(error) });
    }
  }
  if (prompts.length === 0) throw noneUsable(request.prompts, failed[0]!);
  return { session: howComputed(session, circuit), where: request.prompts, prompts, failed };
}

async function sessionOf(request: ValidateCircuitRequest, graph: Graph): Promise<Session> {
  const session = await openSession(namedSubject(graph, request));
  try {
    checkDepth(session, graph);
    return session;
  } catch (error) {
    session[Symbol.dispose]();
    throw error;
  }
}

function measuredCircuit(
  { replacement }: Session,
  { features }: Consensus,
  { signal }: ValidateCircuitRequest,
  seed: number,
): MeasuredCircuit {
  const freeze = new Freeze({}, replacement.model.config.n_layers);
  return { features, freeze, random: new Random(seed), signal };
}

function howComputed(session: Session, { freeze }: MeasuredCircuit): Measured['session'] {
  return { ...session.description, ...frozenResult(freeze), timings_ms: session.stopwatch.timings_ms };
}

function textOf({ tokenizer }: Session, tokenId: number): string {
  return tokenizer.tokenStrings([tokenId])[0]!;
}

function report({ onProgress }: ValidateCircuitRequest, done: number, total: number): void {
  onProgress?.({ kind: 'progress', phase: 'prompts', message: 'Trying the circuit on prompts', done, total });
}

function noneUsable(file: string, { line, error }: FailedPrompt): UsageError {
  return new UsageError({
    code: 'no_prompt_left',
    message: `no prompt of ${file} can be used; line ${line}: ${error.message}`,
    ...(error.hint !== undefined && { hint: error.hint }),
  });
}

function noPrompts(): UsageError {
  return new UsageError({
    code: 'missing_prompts',
    message: 'a circuit is tried on prompts, and none are named',
    hint: 'Name the study that it was found in with --study STUDY, or a list with --prompts FILE.',
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Ratios of sums over prompts, so that prompts whose features add little weigh little. */
function summaryOf(prompts: readonly ValidatedPrompt[], seed: number) {
  const share = (
    gain: (one: ValidatedPrompt) => number,
    control: (one: ValidatedPrompt) => number,
  ): CircuitShare => {
    const ratio = (of: typeof gain, indices: readonly number[] = [...prompts.keys()]): number => {
      let [gained, possible] = [0, 0];
      for (const index of indices) {
        const one = prompts[index]!;
        gained += of(one);
        possible += one.all.logit - one.none.logit;
      }
      return possible > 0 ? gained / possible : NaN;
    };
    const random = ratio(control);
    return {
      estimate: bootstrap(prompts.length, (indices) => ratio(gain, indices), seed),
      random: Number.isFinite(random) ? random : null,
    };
  };
  const average = (of: (one: ValidatedPrompt) => number): number => mean(prompts.map(of));
  const changes = prompts.map(({ all, without }) => without.logit - all.logit);
  const predictions = prompts.flatMap(({ predicted }) => predicted ?? []);
  return {
    n_prompts: prompts.length,
    recovered: share(
      ({ circuit, none }) => circuit.logit - none.logit,
      ({ random, none }) => random.logit - none.logit,
    ),
    lost: share(
      ({ all, without }) => all.logit - without.logit,
      ({ all, without_random }) => all.logit - without_random.logit,
    ),
    means: Object.fromEntries(
      READINGS.map((name) => [
        name,
        {
          logit: average((one) => one[name].logit),
          probability: average((one) => one[name].probability),
          is_first: average((one) => one[name].is_first),
        },
      ]),
    ) as ValidateCircuitResult['means'],
    predicted:
      predictions.length === 0
        ? null
        : {
            mean: mean(predictions),
            actual_mean: mean(changes),
            rank_correlation: rankCorrelation(predictions, changes),
          },
  };
}
