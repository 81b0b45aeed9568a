/** Page, state: questions about attention and their answers, those that are kept beside the graph and those of this page. */
import { batch, computed, effect, signal } from '@preact/signals';
import type {
  AttentionAnswer,
  AttentionQuestion,
  HeadAnswer,
  JobRequest,
  JobStatus,
  KeptAttention,
  LinkAnswer,
  NodeAnswer,
} from '../../../src/viewer/api.ts';
import { exported, fetchAttention } from '../server.ts';
import { isBusy, job, startJob } from './jobs.ts';
import { opened } from './opened.ts';
import { announce, lowerTab } from './ui.ts';

export type LinkQuestion = Extract<AttentionQuestion, { about: 'link' }>;
export type NodeQuestion = Extract<AttentionQuestion, { about: 'node' }>;
export type HeadQuestion = Extract<AttentionQuestion, { about: 'head' }>;

const NONE: KeptAttention = { links: [], nodes: [], heads: [], effects: null };

/** Answers about the open graph. */
export const answers = signal<KeptAttention>(NONE);
export const answersError = signal<Error | null>(null);
export const linkAsked = signal<LinkQuestion | null>(null);
export const nodeAsked = signal<NodeQuestion | null>(null);
export const headAsked = signal<HeadQuestion | null>(null);

const slug = computed(() => opened.value?.slug ?? null);
/** Whether the server can answer new questions about the open graph. */
export const canAsk = computed(() => exported === null && opened.value?.canSteer === true);

export const linkAnswer = computed(() => {
  const question = linkAsked.value;
  return question === null ? null : (answerOfLink(answers.value, question) ?? null);
});

export const nodeAnswer = computed(() => {
  const question = nodeAsked.value;
  return question === null ? null : (answerOfNode(answers.value, question) ?? null);
});

export const headAnswer = computed(() => {
  const question = headAsked.value;
  return question === null ? null : (answerOfHead(answers.value, question) ?? null);
});

/** The pattern of the head that is asked about, which one of its answers has: a row a query. */
export const headPattern = computed(() => {
  const question = headAsked.value;
  if (question === null) return null;
  const { heads } = answers.value;
  const has = (one: HeadAnswer): boolean => one.layer === question.layer && one.head === question.head;
  return heads.findLast((one) => has(one) && one.pattern_rows !== undefined)?.pattern_rows ?? null;
});

/** The last job that was started for an answer. */
const pending = signal<JobRequest | null>(null);
/** Whether an answer about the head that is asked about is on its way: also before the job is there, which takes a moment. */
export const isHeadPending = computed(() => {
  const request = pending.value;
  if (request?.kind !== 'attention' || request.question !== headAsked.value) return false;
  return headAnswer.value === null && (job.value?.request !== request || isBusy(job.value));
});

let running: JobRequest | null = null;
effect(() => {
  const now = job.value?.request ?? null;
  const last = pending.peek();
  if (now === last) running = now;
  else if (last !== null && running === last) pending.value = null; // another job took its place
});

effect(() => {
  const of = slug.value;
  batch(() => {
    answers.value = NONE;
    answersError.value = null;
    linkAsked.value = null;
    nodeAsked.value = null;
    headAsked.value = null;
  });
  if (of === null) return;
  const controller = new AbortController();
  void load(of, controller.signal);
  return () => controller.abort();
});

export async function load(of: string, signal = new AbortController().signal): Promise<void> {
  try {
    const kept = await fetchAttention(of, signal);
    if (slug.peek() !== of) return;
    answersError.value = null;
    const { links, nodes, heads, effects } = answers.peek();
    // What this page was answered meanwhile is later.
    answers.value = {
      links: [...kept.links, ...links],
      nodes: [...kept.nodes, ...nodes],
      heads: [...kept.heads, ...heads],
      effects: effects ?? kept.effects,
    };
  } catch (error) {
    if (!signal.aborted) answersError.value = error as Error;
  }
}

/** Shows an answer that there is, else starts a job for it. */
export function ask(question: AttentionQuestion): void {
  const of = slug.value;
  if (of === null) return;
  batch(() => {
    lowerTab.value = 'attention';
    if (question.about === 'head') headAsked.value = question;
    else {
      linkAsked.value = question.about === 'link' ? question : null;
      nodeAsked.value = question.about === 'node' ? question : null;
      headAsked.value = null;
    }
  });
  if (isAnswered(question)) return;
  if (!canAsk.value) {
    announce('This was not asked yet, and the model of the graph is not loaded.');
    return;
  }
  const request = { kind: 'attention', slug: of, question } as const;
  pending.value = request;
  void startJob(request, (status) => takeAnswer(request, status));
}

/** Adds what a job has answered, unless another graph is open by now. */
export function takeAnswer(request: JobRequest, { result }: JobStatus): void {
  if (request.kind !== 'attention' || result?.kind !== 'attention' || request.slug !== slug.value) return;
  const { links, nodes, heads, effects } = answers.value;
  const given: AttentionAnswer = result.result;
  answers.value = {
    links: given.about === 'link' ? [...links, given.answer] : links,
    nodes: given.about === 'node' ? [...nodes, given.answer] : nodes,
    heads: given.about === 'head' ? [...heads, given.answer] : heads,
    effects: given.about === 'heads' ? given.answer : effects,
  };
}

export function isAnswered(question: AttentionQuestion): boolean {
  const { value } = answers;
  switch (question.about) {
    case 'link':
      return answerOfLink(value, question) !== undefined;
    case 'node':
      return answerOfNode(value, question) !== undefined;
    case 'head':
      return answerOfHead(value, question) !== undefined;
    case 'heads':
      return value.effects !== null;
  }
}

function answerOfLink({ links }: KeptAttention, { source, target }: LinkQuestion): LinkAnswer | undefined {
  return links.findLast(({ edges: [edge] }) => edge?.source.id === source && edge.target.id === target);
}

function answerOfNode({ nodes }: KeptAttention, { node }: NodeQuestion): NodeAnswer | undefined {
  return nodes.findLast((one) => one.node.id === node);
}

function answerOfHead({ heads }: KeptAttention, question: HeadQuestion): HeadAnswer | undefined {
  const { layer, head, query, key, against = null } = question;
  return heads.findLast(
    (one) =>
      one.layer === layer &&
      one.head === head &&
      one.query.position === query &&
      one.against === against &&
      one.key.position === (key ?? strongestKey(one)),
  );
}

/** The key that the query of an answer looks at most. */
function strongestKey({ visible, pattern_row }: HeadAnswer): number {
  return visible[0] + pattern_row.reduce((best, share, i) => (share > pattern_row[best]! ? i : best), 0);
}

/** The question that an answer answers. */
export function questionOf({ layer, head, query, key, against }: HeadAnswer): HeadQuestion {
  const which = { about: 'head', layer, head, query: query.position, key: key.position } as const;
  return against === null ? which : { ...which, against };
}
