/** Engine, verb `train`: a transcoder set for any model, from a corpus. */
import { rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { CorpusFormat } from '../../features/corpus.ts';
import { checkWritable, writeFileAtomic } from '../../formats/atomic.ts';
import { activationsInTurn, type ActivationOptions } from '../../trainer/activations.ts';
import { LiveBlocks } from '../../trainer/blocks.ts';
import { heldRows, jsonLinesOf } from '../../trainer/held-documents.ts';
import { layerFiles, SET_CONFIG } from '../../trainer/export.ts';
import { planOf } from '../../trainer/plan.ts';
import type { TrainRecord } from '../../trainer/record.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { RowFeedOptions, RowFeedState } from '../../trainer/row-feed.ts';
import type { RowSource } from '../../trainer/rows.ts';
import { STATE_FOLDER, type TrainOptions } from '../../trainer/options.ts';
import { trainSet } from '../../trainer/train.ts';
import { NO_SET } from '../../transcoder/no-set.ts';
import { contextOf } from '../features/context.ts';
import { openSubject, openTokenizer, promptRuleOf } from '../opened-subject.ts';
import { PromptReader } from '../prompt-reader.ts';
import { openBackend } from '../session.ts';
import { peakRssBytes, Stopwatch } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';
import { CARD_FILE, writeCard } from './card.ts';
import { openTrainCorpora } from './corpora.ts';
import { countTokens, heldOutOf } from './documents.ts';
import { identityOf, planOfInterrupted } from './identity.ts';
import { claimFolder } from './folder.ts';
import { bytesUpTo, loadModel, memoryOf } from './memory.ts';
import { ProgressLine } from './progress-line.ts';
import { evaluateOn, HELD_OUT_FILE } from './held-out.ts';
import { layersOf, recipeOf } from './recipe.ts';
import { storedSource } from './source.ts';
import type { Trained } from './trained.ts';
import { TRAIN_DEFAULTS, type TrainRequest, type TrainResult } from './types.ts';

/**
 * Loads the model up to the highest layer that is wanted, trains, writes the set and evaluates it. Throws `UsageError` for what the model
 * does not have and for a folder with a set or an interrupted training in it, and what `trainSet` throws.
 */
export async function train(request: TrainRequest): Promise<TrainResult> {
  const { output } = request;
  await checkWritable(join(output, SET_CONFIG));
  const stopwatch = new Stopwatch();
  await using _folder = await claimFolder(request);
  const trained = await trainOnModel(request, stopwatch);
  const { held, recipe } = trained;
  const hasHeldOut = held.documents.length > 0;
  if (hasHeldOut) await writeFileAtomic(join(output, HELD_OUT_FILE), jsonLinesOf(held));
  const evaluation =
    hasHeldOut && (request.evaluate ?? true)
      ? await stopwatch.time('evaluate', () => evaluateOn(request, output, trained.record))
      : null;
  if (!hasHeldOut) {
    const message = 'There is no document to evaluate on: --held-out FILE names some';
    request.onProgress?.({ kind: 'warning', message });
  }
  const { outcome } = trained;
  await writeCard(join(output, CARD_FILE), {
    recipe,
    record: trained.record,
    evaluation,
    output,
    ...outcome,
  });
  await rm(join(output, STATE_FOLDER), { recursive: true, force: true });
  return {
    model: trained.record.modelName,
    output,
    backend: trained.backend.name,
    device: trained.backend.device,
    corpus: request.corpus,
    context: trained.record.context,
    recipe,
    shard: request.shard ?? null,
    passes: trained.plan.passes,
    n_steps: outcome.n_steps,
    n_resumed_steps: outcome.n_resumed_steps,
    n_tokens: outcome.n_tokens,
    tokens_per_second: trained.tokensPerSecond,
    corpus_ended: outcome.endedEarly,
    held_out: outcome.heldOut,
    evaluation,
    files: await Promise.all(filesOf(recipe, output).map(writtenFile)),
    timings_ms: stopwatch.timings_ms,
    peak_rss_bytes: peakRssBytes(),
  };
}

/** All that needs the model; it is freed before the set is evaluated. */
async function trainOnModel(request: TrainRequest, stopwatch: Stopwatch): Promise<Trained> {
  const { output, signal } = request;
  const format: CorpusFormat = { field: request.field, isWhole: request.wholeFiles };
  using corpora = await openTrainCorpora(request, request.corpus, format);
  using opened = await stopwatch.time('resolve', () =>
    openSubject({ ...request, transcoders: NO_SET }, { mayLackSet: true }),
  );
  const { model: named } = opened.subject;
  const { config } = named;
  recipeOf(request, config, request.tokens ?? 1); // refuses what the model does not have, before the corpus is read
  const context = contextOf(request.context, TRAIN_DEFAULTS.context, config);
  const tokenizer = await stopwatch.time('tokenizer', () => openTokenizer(named));
  const { n_ignored } = promptRuleOf(opened.subject);
  const prompts = new PromptReader(tokenizer, promptRuleOf(opened.subject), request.bos);
  const held = await heldOutOf(request, corpora, tokenizer, format);
  const rows: RowSource = {
    corpora: corpora.all,
    tokenizer,
    bosId: prompts.bosId,
    separatorId: tokenizer.eosId,
    context,
    isPacked: request.packing ?? true,
    isHeldOut: held.isHeldOut,
  };
  const tokens = request.tokens ?? (await countTokens(request, rows, n_ignored));
  const recipe = recipeOf(request, config, tokens);
  const shuffledRows = request.shuffle ?? TRAIN_DEFAULTS.shuffledRows;
  const epochs = request.epochs ?? TRAIN_DEFAULTS.epochs;
  const feed = { shuffledRows, seed: recipe.seed, epochs };
  const modelBytes = bytesUpTo(opened, recipe);
  const backend = await stopwatch.time('backend', () =>
    openBackend({ ...request, dtype: 'float32' }, { weightBytes: modelBytes }, (event) =>
      request.onProgress?.(event),
    ),
  );
  const memory = await memoryOf(backend, request, modelBytes);
  using model = await stopwatch.time('load', () => loadModel(backend, opened, recipe, memory.model, request));
  const planned = planOf({
    recipe,
    n_layers: config.n_layers,
    d_model: config.d_model,
    maxBytes: memory.training,
    blockTokens: shuffledRows > 0 ? TRAIN_DEFAULTS.blockTokens : recipe.batchTokens,
  });
  const plan = { ...planned, ...(request.resume && (await planOfInterrupted(output))) };
  const activations = (layers: readonly number[]): ActivationOptions => ({
    model,
    layers,
    feature_input_hook: recipe.feature_input_hook,
    feature_output_hook: recipe.feature_output_hook,
    n_ignored,
    specialIds: tokenizer.specialIds,
    signal,
  });
  const identity = await identityOf(request, { opened, corpora, recipe, plan, context, backend, rows });
  const progress = new ProgressLine(plan, recipe, request.onProgress);
  progress.announce();
  const evaluated = heldRows(held, tokenizer, prompts.bosId, context);
  const modelName =
    named.source.kind === 'folder' || named.source.kind === 'file'
      ? resolve(request.model!)
      : named.source.name;
  const record: TrainRecord = {
    modelName,
    identity,
    layersOfSet: layersOf(request, config),
    context,
    corpus: request.corpus.map((file) => basename(file)),
    bos: request.bos,
    field: request.field,
    wholeFiles: request.wholeFiles,
    packing: request.packing,
    shuffle: request.shuffle,
    epochs: request.epochs,
  };
  const live = (layers: readonly number[], of: RowFeedOptions, blockTokens: number, state?: RowFeedState) =>
    new LiveBlocks({ rows, feed: of, activations: activations(layers), blockTokens }, state);
  const source: TrainOptions['source'] =
    request.store === undefined
      ? (layers, state) => live(layers, feed, plan.blockTokens, state as RowFeedState | undefined)
      : await stopwatch.time('store', () =>
          storedSource(request, { recipe, plan, identity, config, epochs, context }, (tokens, state) =>
            live(recipe.layers, { ...feed, epochs: 1 }, tokens, state),
          ),
        );
  const outcome = await stopwatch.time('train', () =>
    trainSet({
      recipe,
      plan,
      sparse: backend.sparse,
      n_layers: config.n_layers,
      d_model: config.d_model,
      source,
      isShuffled: shuffledRows > 0,
      heldOut: (layers) => activationsInTurn(evaluated, activations(layers)),
      evaluateEvery: request.evaluateEvery ?? null,
      folder: output,
      record,
      checkpointEveryMs: (request.checkpointEvery ?? TRAIN_DEFAULTS.checkpointMinutes) * MS_PER_MINUTE,
      signal,
      onBegin: request.onBegin,
      onStep: (event) => {
        progress.step(event);
        request.onStep?.(event);
      },
      onNote: (message) => request.onProgress?.({ kind: 'note', message }),
    }),
  );
  const { tokensPerSecond } = progress;
  return { backend, recipe, plan, record, held, outcome, tokensPerSecond };
}

const MS_PER_MINUTE = 60_000;

function filesOf({ kind, layers }: Recipe, output: string): string[] {
  const ofLayers = layers.flatMap((layer) => layerFiles(kind, layer));
  return [SET_CONFIG, CARD_FILE, ...ofLayers].map((name) => join(output, name));
}
