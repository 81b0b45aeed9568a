/** Engine, verb `features explain`: labels that a language model writes from pages, scored on texts that it did not see. */
import path from 'node:path';
import { BadFileError, UsageError } from '../../errors.ts';
import { canBeScored } from '../../features/explain/detection.ts';
import { featureCase, type FeatureCase } from '../../features/explain/feature-case.ts';
import { caseTokens, labelFeatures } from '../../features/explain/label-features.ts';
import { NegativePool } from '../../features/explain/negative-pool.ts';
import { detectMessages, explainMessages, PROMPT_VERSION } from '../../features/explain/prompt.ts';
import type { ModelLabel } from '../../features/model-labels.ts';
import { featureKey } from '../../features/page-source.ts';
import { SaveInterval } from '../../features/save-interval.ts';
import { checkWritable } from '../../formats/atomic.ts';
import { makeFolder } from '../../formats/output-path.ts';
import { messageOf } from '../../formats/system-errors.ts';
import { readHubEnvironment } from '../../hub/environment.ts';
import { sendsKeyInClear } from '../../hub/server-address.ts';
import { llmAddress } from '../../llm/address.ts';
import { Llm } from '../../llm/llm.ts';
import { TokenBudget } from '../../llm/token-budget.ts';
import { graphSubject } from '../graph-subject.ts';
import { Stopwatch } from '../stopwatch.ts';
import { checkChoice, chosenFeatures, graphOf, type Place } from './chosen.ts';
import {
  EXPLAIN_DEFAULTS,
  type FeaturesExplainPlan,
  type FeaturesExplainRequest,
  type FeaturesExplainResult,
  type ModelLabelResult,
} from './explain-types.ts';
import { openLabels } from './labels.ts';
import { plural } from '../../plural.ts';

/** A dry run looks at so many pages at most. */
const SAMPLED_PAGES = 50;
const MS_PER_SECOND = 1000;

/**
 * Labels what the request names, without the traced model. Labels that are complete stay, also when it fails or is stopped; the same
 * request goes on after them. Throws `UsageError` for a request that cannot be made, what `Llm.complete` throws, and
 * `BadFileError` when no answer held a label.
 */
export async function explainFeatures(
  request: FeaturesExplainRequest,
): Promise<FeaturesExplainResult | FeaturesExplainPlan> {
  checkChoice(request);
  if (request.dryRun) return await planOf(await openCases(request));
  const { explainer } = request;
  if (!explainer) {
    throw new UsageError({
      code: 'no_explainer',
      message: 'no language model is named that writes the labels',
      hint: 'Give --explainer NAME, a model that the server has; --model is the one whose features are labelled.',
    });
  }
  const { offline, proxyFor } = readHubEnvironment(request);
  const address = llmAddress({ ...request, offline });
  if (sendsKeyInClear(address)) {
    const message = `the key is sent to ${address.host} unencrypted: the address begins with http://`;
    request.onProgress?.({ kind: 'warning', message });
  }
  const { host } = address;
  const cases = await openCases(request);
  const { sources, places } = cases;
  // Answers cost time and money: not to be kept anywhere is told before the first.
  await makeFolder(path.dirname(sources.modelLabelFile.path));
  await checkWritable(sources.modelLabelFile.path);
  const stopwatch = new Stopwatch();
  const onNotice = (message: string): void => request.onProgress?.({ kind: 'warning', message });
  const timeoutMs = (request.timeoutSeconds ?? EXPLAIN_DEFAULTS.timeoutSeconds) * MS_PER_SECOND;
  const llm = await Llm.open(address, { timeoutMs, proxyFor, onNotice });
  const budget = new TokenBudget(request.budget);
  const labels: ModelLabelResult[] = [];
  const failed: { layer: number; feature: number; reason: string }[] = [];
  const unsaved = new Map<string, ModelLabel>();
  const saving = new SaveInterval(async () => {
    const written = new Map(unsaved);
    if (written.size > 0) await sources.modelLabelFile.write(written);
    for (const [key, label] of written) if (unsaved.get(key) === label) unsaved.delete(key);
  });
  let lastSave: Promise<void> = Promise.resolve();
  const most = request.limit ?? Infinity;
  let n_taken = 0;
  try {
    const { isOutOfBudget } = await stopwatch.time('explain', () =>
      labelFeatures({
        llm,
        model: explainer,
        scorer: request.scorer || explainer,
        budget,
        concurrency: request.concurrency ?? EXPLAIN_DEFAULTS.concurrency,
        maxTokens: request.maxTokens ?? EXPLAIN_DEFAULTS.maxTokens,
        signal: request.signal,
        next: async () => {
          const one = n_taken < most ? await cases.next() : null;
          if (one !== null) n_taken++;
          return one;
        },
        onLabel: async ({ layer, feature }, label) => {
          labels.push({ layer, feature, ...label });
          unsaved.set(featureKey(layer, feature), label);
          const progress = { kind: 'progress', phase: 'explain', message: 'Labelling features' } as const;
          request.onProgress?.({ ...progress, done: cases.n_looked, total: places.length });
          lastSave = lastSave.then(() => saving.saveWhenDue());
          await lastSave;
        },
        onFailure: ({ layer, feature }, reason) => {
          failed.push({ layer, feature, reason });
          onNotice(`layer ${layer}, feature ${feature} has no label: ${reason}`);
        },
      }),
    );
    await lastSave;
    await saving.save();
    if (labels.length === 0 && failed.length > 0) throw noLabels(host, failed);
    const isAtLimit = n_taken >= most && cases.n_looked < places.length;
    const scores = labels.map(({ score }) => score).filter((score) => score !== null);
    return {
      ...cases.description(),
      dry_run: false,
      server: host,
      n_labelled: labels.length,
      mean_score: scores.length === 0 ? null : scores.reduce((a, b) => a + b, 0) / scores.length,
      stopped: isOutOfBudget ? 'budget' : isAtLimit ? 'limit' : null,
      tokens: { ...budget.spent, budget: request.budget ?? null },
      labels: labels.sort((a, b) => a.layer - b.layer || a.feature - b.feature),
      failed,
      timings_ms: stopwatch.timings_ms,
    };
  } catch (error) {
    // What is complete stays. The error is told in any case, also where saving fails too.
    await lastSave.catch(() => undefined);
    await saving.save().catch((cause: unknown) => {
      onNotice(`${plural(unsaved.size, 'label')} could not be kept: ${messageOf(cause)}`);
    });
    const n_kept = labels.length - unsaved.size;
    if (n_kept > 0)
      onNotice(`${plural(n_kept, 'label')} kept, written before that; the same command goes on from there`);
    throw error;
  }
}

/** The features of a request one after the other, with the texts that are asked about. */
async function openCases(request: FeaturesExplainRequest) {
  const graph = await graphOf(request);
  const subject = graph === undefined ? request : graphSubject(graph, request);
  const {
    features: sources,
    scan,
    counts,
    name,
  } = await openLabels({ ...subject, folder: request.features });
  const places = chosenFeatures(request, graph, counts);
  const known = await sources.modelLabelFile.read();
  const pool = new NegativePool((layer, feature) => sources.page(layer, feature), counts);
  const { explainer = null } = request;
  const scorer = request.scorer || explainer;
  let n_looked = 0;
  let n_skipped = 0;
  let n_without_examples = 0;
  const isLabelled = ({ layer, feature }: Place): boolean => {
    const label = request.again ? undefined : known.get(featureKey(layer, feature));
    const isOf = (made: string, now: string | null): boolean => now === null || made === now;
    return (
      label !== undefined &&
      label.prompt_version === PROMPT_VERSION &&
      isOf(label.model, explainer) &&
      isOf(label.scorer, scorer)
    );
  };
  const options = {
    examples: request.examples ?? EXPLAIN_DEFAULTS.examples,
    heldOut: request.heldOut ?? EXPLAIN_DEFAULTS.heldOut,
  };
  return {
    request,
    sources,
    places,
    get n_looked() {
      return n_looked;
    },
    description: () => ({
      transcoders: name,
      scan,
      file: sources.modelLabelFile.path,
      explainer,
      scorer,
      prompt_version: PROMPT_VERSION,
      n_features: places.length,
      n_skipped,
      n_without_examples,
    }),
    /** Null after the last one. Features that are labelled already, or have no examples, are left out and counted. */
    async next(): Promise<FeatureCase | null> {
      while (n_looked < places.length) {
        request.signal?.throwIfAborted();
        const { layer, feature } = places[n_looked++]!;
        if (isLabelled({ layer, feature })) {
          n_skipped++;
          continue;
        }
        const page = await sources.page(layer, feature);
        const found = page && featureCase(layer, feature, page, await pool.of(layer), options);
        if (found) return found;
        n_without_examples++;
      }
      return null;
    },
  };
}

async function planOf(cases: Awaited<ReturnType<typeof openCases>>): Promise<FeaturesExplainPlan> {
  const { request, places } = cases;
  const maxTokens = request.maxTokens ?? EXPLAIN_DEFAULTS.maxTokens;
  const most = Math.min(SAMPLED_PAGES, request.limit ?? Infinity);
  const sampled: FeatureCase[] = [];
  for (let one = await cases.next(); one !== null; one = await cases.next()) {
    sampled.push(one);
    if (sampled.length >= most) break;
  }
  const [first] = sampled;
  const left = places.length - cases.n_looked;
  // Of those that were not looked at, as many have examples as of those that were.
  const perLooked = cases.n_looked === 0 ? 0 : sampled.length / cases.n_looked;
  const n_features = Math.min(request.limit ?? Infinity, Math.round(sampled.length + left * perLooked));
  const factor = sampled.length === 0 ? 0 : n_features / sampled.length;
  const sum = (of: (one: FeatureCase) => number): number =>
    Math.round(factor * sampled.reduce((total, one) => total + of(one), 0));
  return {
    ...cases.description(),
    dry_run: true,
    first:
      first === undefined
        ? null
        : {
            layer: first.layer,
            feature: first.feature,
            messages: explainMessages(first),
            score_messages: canBeScored(first) ? detectMessages('LABEL', first) : null,
          },
    cost: {
      n_features,
      n_requests: sum((one) => (canBeScored(one) ? 2 : 1)),
      prompt_tokens: sum((one) => caseTokens(one, maxTokens).prompt),
      most_completion_tokens: sum((one) => caseTokens(one, maxTokens).completion),
      n_sampled: sampled.length,
    },
  };
}

function noLabels(host: string, failed: readonly { readonly reason: string }[]): BadFileError {
  return new BadFileError({
    code: 'no_labels',
    message: `none of ${plural(failed.length, 'answer')} of ${host} could be used; the first: ${failed[0]!.reason}`,
    hint: 'Try a larger model, or more --answer-tokens for one that reasons.',
  });
}
