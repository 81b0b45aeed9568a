/** Features, building: from a corpus to a folder of pages, in bounded memory, and resumable at any time. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { availableMemoryBytes } from '../backend/budget.ts';
import { BadFileError, ExhaustedError, UsageError } from '../errors.ts';
import { writeFileAtomic } from '../formats/atomic.ts';
import { acquireLock } from '../formats/lock.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { FeatureIndex, FeatureLabel, FeaturePage } from '../transcoder/feature-page.ts';
import {
  BuildState,
  STATE_FOLDER,
  stateBytes,
  type BuildFingerprint,
  type BuildProgress,
  type BuildShape,
} from './build-state.ts';
import { collectWindow, type CollectOptions } from './collect.ts';
import { idsOf, type Corpus, type Document } from './corpus.ts';
import { decoderTokens } from './decoder-tokens.ts';
import type { LayerStatistics } from './layer-statistics.ts';
import { featurePage } from './page.ts';
import { SaveInterval } from './save-interval.ts';
import { writeIndex, writeLayerPages } from './write-pages.ts';

export interface PageOptions {
  readonly replacement: ReplacementModel;
  readonly tokenizer: Pick<Tokenizer, 'tokenStrings'>;
  /** Where `index.json.gz` goes. */
  readonly folder: string;
  /** Tokens promoted, and as many suppressed. */
  readonly n_logits: number;
  readonly label?: (layer: number, feature: number) => FeatureLabel | null;
  readonly signal?: AbortSignal | undefined;
  /** Pages written, of all. */
  readonly onPage?: (done: number, total: number) => void;
}

export interface BuildOptions extends Omit<PageOptions, 'tokenizer' | 'label'>, CollectOptions {
  readonly tokenizer: Tokenizer;
  /** Put in front of every window; null for nothing. */
  readonly bosId: number | null;
  readonly corpus: Corpus;
  readonly layers: readonly number[];
  /** Tokens of a window, BOS included. */
  readonly context: number;
  /** Strongest examples of each feature. */
  readonly n_examples: number;
  /** What else the result depends on: model, set, arithmetic. */
  readonly identity: BuildFingerprint;
  /** Continues an interrupted build. */
  readonly resume: boolean;
  /** Bytes that the state may have; default a third of what is free. */
  readonly maxStateBytes?: number | undefined;
  /** Bytes of the corpus that were read, of all. */
  readonly onRead?: (done: number, total: number) => void;
  readonly onNote?: (message: string) => void;
}

export interface BuildOutcome {
  readonly progress: BuildProgress;
  /** Windows that an earlier run had read. */
  readonly n_resumed_windows: number;
  readonly state_bytes: number;
  /** Features of each layer that were active anywhere. */
  readonly layers: readonly {
    readonly layer: number;
    readonly n_features: number;
    readonly n_active: number;
  }[];
  readonly files: readonly string[];
}

/**
 * Reads the corpus, writes the pages and the index, and removes the state. An interruption leaves the state, and a
 * build that is resumed writes the same files. Throws `UsageError` where there is a state and `resume` was not asked for,
 * `ExhaustedError` when the state would not fit, `BadFileError` for a state of another build, and the signal's reason.
 */
export async function buildPages(options: BuildOptions): Promise<BuildOutcome> {
  const { replacement, folder, layers, n_examples } = options;
  const shape: BuildShape = {
    layers: layers.map((layer) => ({ layer, n_features: replacement.transcoders.featureCounts[layer]! })),
    n_examples,
  };
  checkMemory(shape, options.maxStateBytes);
  await using _lock = await acquireLock(join(folder, `${STATE_FOLDER}.lock`), {
    signal: options.signal,
    onWait: () => {
      throw inUse(folder);
    },
  });
  const state = await openState(options, shape);
  const n_resumed_windows = state.progress.n_windows;
  try {
    await readCorpus(state, options);
    if (state.progress.n_windows === 0) throw emptyCorpus(options.corpus.path);
    const files = await writeBuiltPages(state, options);
    await state.remove();
    return {
      progress: state.progress,
      n_resumed_windows,
      state_bytes: stateBytes(shape),
      layers: state.layers.map(({ layer, n_features, counts }) => ({
        layer,
        n_features,
        n_active: counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0),
      })),
      files,
    };
  } catch (error) {
    if (state.progress.n_windows === 0) await state.remove();
    else await state.close();
    throw error;
  }
}

async function openState(options: BuildOptions, shape: BuildShape): Promise<BuildState> {
  const folder = join(options.folder, STATE_FOLDER);
  const fingerprint: BuildFingerprint = {
    ...options.identity,
    corpus: await options.corpus.fingerprint(),
    layers: options.layers.join(),
    context: String(options.context),
    examples: String(options.n_examples),
    logits: String(options.n_logits),
  };
  if (!existsSync(BuildState.stateFile(folder))) return await BuildState.begin(folder, shape, fingerprint);
  if (options.resume) return await BuildState.resume(folder, shape, fingerprint);
  throw new UsageError({
    code: 'build_interrupted',
    message: `${folder} holds the state of a build that was interrupted`,
    hint: `--resume continues with it; remove that folder to begin anew.`,
  });
}

async function readCorpus(state: BuildState, options: BuildOptions): Promise<void> {
  const { corpus, tokenizer, bosId, context, replacement, signal } = options;
  const checkpoints = new SaveInterval(() => state.save());
  try {
    for await (const document of corpus.documents(state.progress.place)) {
      const { place, next } = document;
      options.onRead?.(place.offset, corpus.bytes);
      const windows = windowsOf(document, { tokenizer, bosId, context });
      for (const tokens of windows.slice(state.progress.n_windows_of_document)) {
        signal?.throwIfAborted();
        await collectWindow(replacement, state, tokens, options);
        await checkpoints.saveWhenDue();
      }
      const { n_documents } = state.progress;
      state.progress = {
        ...state.progress,
        n_documents: n_documents + 1,
        n_windows_of_document: 0,
        place: next,
      };
    }
  } catch (error) {
    if (signal?.aborted && error === signal.reason) {
      await state.save();
      options.onNote?.(`What was read so far is kept in ${state.folder}; --resume continues with it`);
    }
    throw error;
  }
  options.onRead?.(corpus.bytes, corpus.bytes);
  await checkpoints.save();
}

export interface WindowOptions {
  readonly tokenizer: Pick<Tokenizer, 'encode'>;
  /** Put in front of each piece of text, since a model expects it there; null: nothing is. */
  readonly bosId: number | null;
  readonly context: number;
}

/** Pieces of a document. Token ids are taken as they are, without BOS. */
export function windowsOf(
  document: Pick<Document, 'text' | 'tokens'>,
  { tokenizer, bosId, context }: WindowOptions,
): number[][] {
  const ids = idsOf(document, tokenizer);
  const first = bosId === null || document.tokens ? [] : [bosId];
  const size = context - first.length;
  return Array.from({ length: Math.ceil(ids.length / size) }, (_, i) => [
    ...first,
    ...ids.slice(i * size, (i + 1) * size),
  ]);
}

/** Step 2 of 2: writes a file a layer, and the index. Layers that an interrupted run wrote are not written again. */
export async function writeBuiltPages(state: BuildState, options: PageOptions): Promise<string[]> {
  const { folder, signal } = options;
  await state.spool.sync();
  const total = state.layers.reduce((sum, { n_features }) => sum + n_features, 0);
  let done = 0;
  const entries: Record<string, FeatureIndex[string]> = {};
  for (const statistics of state.layers) {
    const note = join(state.folder, `layer_${statistics.layer}.json`);
    const written = writtenBefore(note, folder);
    if (written) done += statistics.n_features;
    const pages = pagesOf(statistics, state, options, () => options.onPage?.(++done, total));
    const entry = written ?? (await writeLayerPages(folder, statistics.layer, pages, signal));
    await writeFileAtomic(note, JSON.stringify(entry));
    entries[String(statistics.layer)] = entry;
  }
  await writeIndex(folder, entries, signal);
  return [...Object.values(entries).map(({ filename }) => filename), 'index.json.gz'].map((name) =>
    join(folder, name),
  );
}

function writtenBefore(note: string, folder: string): FeatureIndex[string] | undefined {
  if (!existsSync(note)) return undefined;
  const entry = JSON.parse(readFileSync(note, 'utf8')) as FeatureIndex[string];
  const found = statSync(join(folder, entry.filename), { throwIfNoEntry: false });
  return found?.size === entry.offsets.at(-1) ? entry : undefined;
}

async function* pagesOf(
  statistics: LayerStatistics,
  state: BuildState,
  { replacement, tokenizer, n_logits, label, signal }: PageOptions,
  onPage: () => void,
): AsyncGenerator<FeaturePage, void, undefined> {
  const { layer, n_features } = statistics;
  const tokens = n_logits > 0 ? decoderTokens(replacement, layer, n_features, n_logits, signal) : null;
  try {
    for (let feature = 0; feature < n_features; feature++) {
      signal?.throwIfAborted();
      const found = (await tokens?.next())?.value;
      yield await featurePage(statistics, feature, {
        spool: state.spool,
        n_tokens: state.progress.n_tokens,
        tokenStrings: (ids) => tokenizer.tokenStrings(ids),
        top_logits: tokenizer.tokenStrings(found?.promoted ?? []),
        bottom_logits: tokenizer.tokenStrings(found?.suppressed ?? []),
        label: label?.(layer, feature) ?? null,
      });
      onPage();
    }
  } finally {
    await tokens?.return(); // it holds the unembedding
  }
}

/** Share of free memory that the state may take by default; weights take another third. */
const STATE_SHARE = 1 / 3;
const MIB = 2 ** 20;

function checkMemory(shape: BuildShape, maxBytes: number | undefined): void {
  const needed = stateBytes(shape);
  const limit = maxBytes ?? availableMemoryBytes() * STATE_SHARE;
  if (needed <= limit) return;
  const mib = (bytes: number): number => Math.ceil(bytes / MIB);
  throw new ExhaustedError({
    code: 'too_many_features',
    message: `${shape.layers.length} layers of features need ${mib(needed)} MiB while the corpus is read; ${mib(limit)} MiB are allowed`,
    hint: 'Build fewer layers at a time (--layers 0:12, then --layers 12:24), fewer --examples, or give more --max-memory.',
  });
}

function emptyCorpus(path: string): BadFileError {
  return new BadFileError({
    code: 'empty_corpus',
    message: `${path} has no document: all its lines are empty`,
    hint: 'A corpus is text with one document a line, or JSON Lines with "text" (FILE.jsonl).',
  });
}

function inUse(folder: string): UsageError {
  return new UsageError({
    code: 'build_running',
    message: `another build is writing to ${folder}`,
    hint: 'Wait until it is done, or give --output another folder.',
  });
}
