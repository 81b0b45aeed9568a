/** Viewer: the work of a job that removes a head: what its logits do, predicted and in truth, with patterns held and free. */
import { interveneIn } from '../engine/intervene/intervene.ts';
import type { RemoveHeadJob } from './api.ts';
import type { OpenGraph } from './graph-cache.ts';
import { graphFacts } from './graph-facts.ts';
import type { HeldModel } from './held-model.ts';
import type { Work, WorkContext } from './jobs.ts';

export function removalWork(job: RemoveHeadJob, open: OpenGraph, model: HeldModel): Work {
  const { layer, head, query } = job;
  const key = job.key ?? null;
  const facts = graphFacts(open);
  const request = {
    input: { tokens: facts.tokens() },
    heads: [{ layer, head, query, key, factor: 0 }],
    effectTokens: facts.logits(),
    features: 0,
  } as const;
  return async (context) => {
    const session = await model.open(context);
    const effectsOf = async (freezeAttention: boolean, { signal, onProgress }: WorkContext) => {
      const { heads } = await interveneIn(session, { ...request, freezeAttention, signal, onProgress });
      return heads!.effects!; // there, since heads are changed and no features
    };
    const held = await effectsOf(true, context);
    const free = await effectsOf(false, withoutWarnings(context));
    const effects = held.map(({ token_id, text, predicted, change }, i) => ({
      ...{ token_id, text, predicted },
      ...{ held: change, free: free[i]!.change },
    }));
    return { kind: 'remove_head', result: { layer, head, query, key, effects } };
  };
}

/** Those about the prompt were given by the first pass. */
function withoutWarnings({ signal, onProgress }: WorkContext): WorkContext {
  return { signal, onProgress: (event) => event.kind !== 'warning' && onProgress(event) };
}
