/** Features, labels by a language model, step 6: asks for labels and scores, several at once, within a budget; each is kept when it is complete. */
import type { Llm, Message } from '../../llm/llm.ts';
import { estimateTokens, type Spent, type TokenBudget } from '../../llm/token-budget.ts';
import type { ModelLabel } from '../model-labels.ts';
import { parseLabel, parseMarks } from './answers.ts';
import { canBeScored, detectionScore } from './detection.ts';
import type { FeatureCase } from './feature-case.ts';
import { detectMessages, explainMessages, PROMPT_VERSION } from './prompt.ts';

/** Stands for the label while it is not known: about as long. */
const SOME_LABEL = 'x'.repeat(80);

export interface LabelFeaturesOptions {
  readonly llm: Llm;
  readonly model: string;
  readonly scorer: string;
  readonly budget: TokenBudget;
  readonly concurrency: number;
  /** Of one answer. */
  readonly maxTokens: number;
  readonly signal?: AbortSignal | undefined;
  /** The next feature to ask about; null when there is none. Called again before the case before it is done. */
  readonly next: () => Promise<FeatureCase | null>;
  readonly onLabel: (one: FeatureCase, label: ModelLabel) => Promise<void>;
  /** An answer that says nothing usable; the other features go on. */
  readonly onFailure: (one: FeatureCase, reason: string) => void;
}

/** Tokens of both requests at most, as estimated. */
export function caseTokens(one: FeatureCase, maxTokens: number): Spent {
  const explain = estimateTokens(explainMessages(one));
  const detect = canBeScored(one) ? estimateTokens(detectMessages(SOME_LABEL, one)) : 0;
  return { prompt: explain + detect, completion: maxTokens * (detect === 0 ? 1 : 2) };
}

/**
 * Resolves with whether the budget ended it. Throws what the server's faults throw, after the requests under way were
 * cancelled: labels that were complete by then were given to `onLabel`.
 */
export async function labelFeatures(
  options: LabelFeaturesOptions,
): Promise<{ readonly isOutOfBudget: boolean }> {
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  let isOutOfBudget = false;
  let taking: Promise<unknown> = Promise.resolve();
  // One after the other, so that features are taken in their order.
  const take = (): Promise<FeatureCase | null> => {
    const taken = taking.then(() => (isOutOfBudget || signal.aborted ? null : options.next()));
    taking = taken.catch(() => undefined);
    return taken;
  };
  const work = async (): Promise<void> => {
    for (let one = await take(); one !== null; one = await take()) {
      const { prompt, completion } = caseTokens(one, options.maxTokens);
      if (!options.budget.reserve(prompt + completion)) {
        isOutOfBudget = true;
        return;
      }
      try {
        await labelOne(one, options, signal);
      } finally {
        options.budget.settle(prompt + completion);
      }
    }
  };
  const workers = Array.from({ length: options.concurrency }, () =>
    work().catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  const ends = await Promise.allSettled(workers);
  options.signal?.throwIfAborted();
  // The first failure stopped the others, whose failures are that stop.
  if (stop.signal.aborted) throw stop.signal.reason;
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
  return { isOutOfBudget };
}

async function labelOne(one: FeatureCase, options: LabelFeaturesOptions, signal: AbortSignal): Promise<void> {
  const { model, scorer } = options;
  const label = await ask(options, model, explainMessages(one), signal);
  const text = parseLabel(label.text);
  if (text === null) return options.onFailure(one, reasonOf('no label', label, options.maxTokens));
  let marks: boolean[] | null = null;
  if (canBeScored(one)) {
    const detection = await ask(options, scorer, detectMessages(text, one), signal);
    const count = one.heldOut.length;
    marks = parseMarks(detection.text, count);
    if (marks === null) {
      const what = `no list of ${count} zeros and ones for the score`;
      return options.onFailure(one, reasonOf(what, detection, options.maxTokens));
    }
  }
  const score = detectionScore(one, marks);
  await options.onLabel(one, { text, model, prompt_version: PROMPT_VERSION, scorer, ...score });
}

async function ask(
  { llm, budget, maxTokens }: LabelFeaturesOptions,
  model: string,
  messages: readonly Message[],
  signal: AbortSignal,
) {
  const completion = await llm.complete({ model, messages, maxTokens, signal });
  budget.spend(
    completion.tokens ?? {
      prompt: estimateTokens(messages),
      completion: estimateTokens([{ role: 'user', content: completion.text }]),
    },
  );
  return completion;
}

function reasonOf(what: string, { isCut }: { readonly isCut: boolean }, maxTokens: number): string {
  return isCut ? `${what}: the answer was cut at ${maxTokens} tokens` : `${what} in the answer`;
}
