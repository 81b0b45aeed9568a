/** Viewer: the work of a job about attention: heads of a link and of a node, why a head looks somewhere, heads by effect. */
import path from 'node:path';
import { attentionEdgesIn } from '../engine/attention/edges.ts';
import { attentionHeadIn } from '../engine/attention/head.ts';
import { attentionHeadsIn } from '../engine/attention/heads.ts';
import { attentionNodeIn } from '../engine/attention/node.ts';
import type { AttentionInput, EdgeResult, HeadResult } from '../engine/attention/types.ts';
import type { Session } from '../engine/session.ts';
import { TracerError, UsageError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import type { AttentionAnswer, AttentionQuestion } from './api.ts';
import { keepAnswer } from './attention-file.ts';
import type { OpenGraph } from './graph-cache.ts';
import { graphFacts, type GraphFacts } from './graph-facts.ts';
import type { StoredGraph } from './graph-store.ts';
import type { HeldModel } from './held-model.ts';
import type { Work, WorkContext } from './jobs.ts';

/** Entries of lists. */
const TOP = 40;
/** Heads of a link or node: all of most models, so that what takes several of them is known. */
const TOP_OF_TARGET = 200;
/** Digits of a pattern, which is drawn. */
const PATTERN_DIGITS = 4;
/** Largest difference of a link from its weight in the graph, relative to it, and in itself for links that are next to nothing. */
const SAME_WEIGHT = { relative: 2e-2, absolute: 1e-3 } as const;

/** Nodes that the graph or a link does not have are refused here, before the job is queued. */
export function attentionWork(
  question: AttentionQuestion,
  stored: StoredGraph,
  open: OpenGraph,
  model: HeldModel,
): Work {
  const facts = graphFacts(open);
  const weight = question.about === 'link' ? weightOf(facts, question) : 0;
  if (question.about === 'node') facts.target(question.node);
  const subject = subjectOf(open, facts, stored);
  const graph = open.kind === 'graph' ? open.graph : undefined;
  return async (context) => {
    const session = await model.open(context);
    const result = await answerOf(session, question, { ...context, ...subject }, graph);
    if (result.about === 'link') checkWeight(result.answer.edges[0]!, weight);
    await keep(stored, result, context);
    return { kind: 'attention', result };
  };
}

function weightOf(facts: GraphFacts, { source, target }: { source: string; target: string }): number {
  facts.target(target);
  return facts.weight(source, target);
}

/** A graph file is used as it was read; of a viewer file its tokens and logits. */
function subjectOf(open: OpenGraph, facts: GraphFacts, { file }: StoredGraph): AttentionInput {
  if (open.kind === 'graph') return { graph: path.basename(file) };
  return { input: { tokens: facts.tokens() }, targets: { kind: 'tokens', ids: facts.logits() } };
}

async function answerOf(
  session: Session,
  question: AttentionQuestion,
  request: AttentionInput,
  graph: Graph | undefined,
): Promise<AttentionAnswer> {
  switch (question.about) {
    case 'link': {
      const edges = [[question.source, question.target]] as const;
      const answer = await attentionEdgesIn(session, { ...request, edges, top: TOP_OF_TARGET }, graph);
      return { about: 'link', answer };
    }
    case 'node': {
      const { about, node } = question;
      return {
        about,
        answer: await attentionNodeIn(session, { ...request, node, top: TOP_OF_TARGET }, graph),
      };
    }
    case 'head': {
      const { about, ...which } = question;
      const asked = { ...request, ...which, by: 'layer', wholePattern: true, top: TOP } as const;
      return { about, answer: shortened(await attentionHeadIn(session, asked, graph)) };
    }
    case 'heads':
      return { about: 'heads', answer: await attentionHeadsIn(session, { ...request, top: TOP }, graph) };
  }
}

function shortened(answer: HeadResult): HeadResult {
  const { pattern_rows } = answer;
  if (pattern_rows === undefined) return answer;
  const short = (value: number): number => Number(value.toPrecision(PATTERN_DIGITS));
  return { ...answer, pattern_rows: pattern_rows.map((row) => row.map(short)) };
}

/** Throws `UsageError` for a model or set that only has the name of the graph's. */
function checkWeight({ source, target, weight }: EdgeResult, expected: number): void {
  const { relative, absolute } = SAME_WEIGHT;
  if (Math.abs(weight - expected) <= relative * Math.abs(expected) + absolute) return;
  throw new UsageError({
    code: 'other_model',
    message: `the graph says that the link from ${source.id} to ${target.id} has weight ${expected}; in this model and set it has ${weight}`,
    hint: 'Start `tracer serve` with --model and --transcoders of the graph.',
  });
}

/** The answer is there all the same when it cannot be kept, as in a folder that may only be read. */
async function keep(
  stored: StoredGraph,
  answer: AttentionAnswer,
  { onProgress }: WorkContext,
): Promise<void> {
  try {
    await keepAnswer(stored, answer);
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    onProgress({ kind: 'warning', message: `the answer is not kept: ${error.message}` });
  }
}
