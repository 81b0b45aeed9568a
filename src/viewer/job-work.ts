/** Viewer: the work of each kind of job: trace a prompt, steer features, ablate the source of a link, explain attention, remove a head, contrast groups. */
import path from 'node:path';
import { ablateIn } from '../engine/validate/ablate.ts';
import { attributeIn } from '../engine/attribute/attribute.ts';
import { interveneIn } from '../engine/intervene/intervene.ts';
import { checkActivation } from '../engine/validate/switch-off.ts';
import { unreachable, UsageError } from '../errors.ts';
import { isThere } from '../formats/atomic.ts';
import { isNameOfOtherFile, slugOfPrompt, viewerSlug } from '../graph/slug.ts';
import type { AblateJob, JobRequest, SteerJob, TraceJob } from './api.ts';
import { attentionWork } from './attention-work.ts';
import type { Contrasts } from './contrast-work.ts';
import { graphFacts } from './graph-facts.ts';
import type { ChosenModel, HeldModel } from './held-model.ts';
import { RefusedError } from './http-errors.ts';
import { removalWork } from './removal-work.ts';
import type { Work } from './jobs.ts';
import type { GraphCache, OpenGraph } from './graph-cache.ts';
import type { GraphStore } from './graph-store.ts';

export interface JobServices {
  readonly store: GraphStore;
  readonly cache: GraphCache;
  readonly chosen: ChosenModel;
  readonly contrasts: Contrasts;
}

/** The work of a request. Everything that can be checked without the model is checked here, before the job is queued. */
export async function createWork(request: JobRequest, services: JobServices): Promise<Work> {
  if (request.kind === 'contrast') return await services.contrasts.work(request);
  const model = requireModel(services.chosen);
  switch (request.kind) {
    case 'trace':
      return await traceWork(request, services.store, model);
    case 'steer':
      return steerWork(request, await openFor(request.slug, services, model), model);
    case 'ablate':
      return ablateWork(request, await openFor(request.slug, services, model), model);
    case 'attention':
      return attentionWork(
        request.question,
        await services.store.find(request.slug),
        await openFor(request.slug, services, model),
        model,
      );
    case 'remove_head':
      return removalWork(request, await openFor(request.slug, services, model), model);
    default:
      return unreachable(request);
  }
}

function requireModel({ model, why }: ChosenModel): HeldModel {
  if (model !== null) return model;
  throw new UsageError({
    code: 'no_model',
    message: `no model is loaded: ${why}`,
    hint: 'Start `tracer serve` with --model or --transcoders.',
  });
}

async function openFor(slug: string, { store, cache }: JobServices, model: HeldModel): Promise<OpenGraph> {
  const open = await cache.open(await store.find(slug));
  if (model.fits(open)) return open;
  throw new UsageError({
    code: 'other_model',
    message: `the graph ${slug} was made with another model than ${model.identity.names.model}`,
    hint: 'Start `tracer serve` with --model and --transcoders of the graph.',
  });
}

async function traceWork(
  { prompt, slug, chat = false, system }: TraceJob,
  store: GraphStore,
  model: HeldModel,
): Promise<Work> {
  if (prompt.trim() === '') {
    throw new UsageError({ code: 'empty_prompt', message: 'the prompt is empty', hint: 'Type some words.' });
  }
  if (system !== undefined && !chat) {
    throw new UsageError({
      code: 'system_without_chat',
      message: 'system is a message of a chat, but chat is not true',
      hint: 'Send "chat": true.',
    });
  }
  const { folder } = store;
  if (folder === null) {
    throw new UsageError({
      code: 'no_folder',
      message: 'nothing but studies is served, and graphs are not written into the folder of a study',
      hint: 'Start `tracer serve` with a folder of graphs too: tracer serve STUDY GRAPHS.',
    });
  }
  if (slug !== undefined && (await isTaken(folder, slug))) {
    throw new RefusedError(409, {
      code: 'slug_taken',
      message: `there is a graph ${slug} already`,
      hint: 'Choose another name: existing graphs are not overwritten.',
    });
  }
  return async (context) => {
    const session = await model.open(context);
    const name = slug ?? slugOfPrompt(prompt);
    const result = await attributeIn(session, {
      ...context,
      input: { prompt, ...(chat && { chat: { system } }) },
      output: path.join(folder, `${name}.safetensors`),
      graphDir: folder,
      slug: name,
      keepExisting: true, // the name may have been taken since the job was queued
    });
    const [graph] = result.files;
    const added = await store.add(graph!.path);
    if (slug !== undefined && path.parse(graph!.path).name !== slug) {
      const message = `the name ${slug} was taken while the job waited or ran: the graph is called ${added.slug}`;
      context.onProgress({ kind: 'warning', message });
    }
    return { kind: 'trace', slug: added.slug, result };
  };
}

/** Checked before the work starts, which may take minutes. A name that is taken later is noticed when the graph is written. */
async function isTaken(folder: string, slug: string): Promise<boolean> {
  if (isNameOfOtherFile(slug)) return true;
  for (const name of [`${slug}.safetensors`, `${viewerSlug(slug)}.json`, `${slug}.annotations.json`]) {
    if (await isThere(path.join(folder, name))) return true;
  }
  return false;
}

function steerWork({ changes, freeze_attention }: SteerJob, open: OpenGraph, model: HeldModel): Work {
  const facts = graphFacts(open);
  const tokens = facts.tokens();
  const features = changes.map((change) => facts.feature(change));
  return async (context) => {
    const session = await model.open(context);
    const result = await interveneIn(session, {
      ...context,
      input: { tokens },
      interventions: changes.map(({ layer, position, feature, factor }) => ({
        layer,
        pos: position,
        feature,
        change: { kind: 'scale', factor },
      })),
      freezeAttention: freeze_attention ?? true,
    });
    for (const { layer, position, feature, before } of result.interventions) {
      const node = features.find(
        (one) => one.layer === layer && one.position === position && one.feature === feature,
      );
      if (node !== undefined && node.activation !== null) checkActivation(node, before);
    }
    return { kind: 'steer', result };
  };
}

function ablateWork({ source, target }: AblateJob, open: OpenGraph, model: HeldModel): Work {
  const facts = graphFacts(open);
  const request = { tokens: facts.tokens(), source: facts.source(source), target: facts.target(target) };
  const predicted = -facts.weight(source, target);
  return async (context) => {
    const session = await model.open(context);
    const { measured, free } = await ablateIn(session, { ...context, ...request });
    return { kind: 'ablate', result: { source, target, predicted, measured, free } };
  };
}
