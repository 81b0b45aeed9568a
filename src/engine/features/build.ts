/** Engine, verb `features build`: pages of features from a corpus, for any model and set. */
import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { checkWritable } from '../../formats/atomic.ts';
import { buildPages } from '../../features/build.ts';
import { Corpus } from '../../features/corpus.ts';
import { locate } from '../../hub/resolve.ts';
import type { TransformerConfig } from '../../model/config.ts';
import { FEATURE_FOLDER, INDEX_FILE } from '../../transcoder/feature-page.ts';
import { contextOf } from './context.ts';
import { FEATURES_DEFAULTS, type FeaturesBuildRequest, type FeaturesBuildResult } from './types.ts';
import type { TranscoderSet } from '../../transcoder/transcoder-set.ts';
import { requireSet } from '../opened-subject.ts';
import { openSession } from '../session.ts';
import { identityOf } from '../session-identity.ts';
import { peakRssBytes, Stopwatch } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';

/** Loads what the request names, reads the corpus and writes the pages. Errors as `openSession` and `buildPages`. */
export async function buildFeatures(request: FeaturesBuildRequest): Promise<FeaturesBuildResult> {
  requireSet(request);
  const output = outputOf(request);
  await checkWritable(path.join(output, INDEX_FILE));
  using corpus = await Corpus.open(request.corpus);
  using session = await openSession(request, {
    preloadEncoders: true,
    check: ({ config }) => {
      layersOf(request, config);
      contextOf(request.context, FEATURES_DEFAULTS.context, config);
    },
  });
  const { replacement, tokenizer, description } = session;
  const { config } = replacement.model;
  const stopwatch = new Stopwatch();
  const phases = stopwatch.phases('corpus');
  const progress = (phase: string, message: string) => (done: number, total: number) =>
    request.onProgress?.({
      kind: 'progress',
      phase,
      message,
      done,
      total,
      ...(phase === 'corpus' && { unit: 'bytes' as const }),
    });
  const onPage = progress('pages', 'Writing pages');
  const outcome = await buildPages({
    replacement,
    tokenizer,
    bosId: session.prompts.bosId,
    corpus,
    folder: output,
    layers: withTranscoder(layersOf(request, config), replacement.transcoders),
    context: contextOf(request.context, FEATURES_DEFAULTS.context, config),
    n_examples: request.examples ?? FEATURES_DEFAULTS.examples,
    n_logits: request.logits ?? FEATURES_DEFAULTS.logits,
    identity: await identityOf(session),
    resume: request.resume ?? false,
    maxStateBytes: request.maxMemoryBytes,
    signal: request.signal,
    checkFinite: (values) => session.checkFinite(values, 'the activations of features'),
    onRead: progress('corpus', 'Reading the corpus'),
    onPage: (done, total) => {
      if (done === 1) phases.next('pages');
      onPage(done, total);
    },
    onNote: (message) => request.onProgress?.({ kind: 'note', message }),
  });
  phases.end();
  const { n_documents, n_windows, n_tokens } = outcome.progress;
  return {
    ...description,
    output,
    n_documents,
    n_windows,
    n_tokens,
    n_resumed_windows: outcome.n_resumed_windows,
    layers: outcome.layers,
    state_bytes: outcome.state_bytes,
    files: await Promise.all(outcome.files.map(writtenFile)),
    timings_ms: { ...session.stopwatch.timings_ms, ...stopwatch.timings_ms },
    peak_rss_bytes: peakRssBytes(),
  };
}

/** Beside the weights if the set is a local folder of the user, where all commands find the pages; other sets are not written to. */
function outputOf({ output, transcoders }: FeaturesBuildRequest): string {
  if (output !== undefined) return output;
  const located = transcoders === undefined ? undefined : locate('transcoders', transcoders);
  if (located?.preset === undefined && located?.reference.kind === 'local') {
    return path.join(located.reference.path, FEATURE_FOLDER);
  }
  throw new UsageError({
    code: 'nowhere_to_write',
    message: `a folder for the pages is missing: only sets that are local folders get theirs beside their weights`,
    hint: 'Give --output DIR, and name it with --features DIR when the pages are to be shown.',
  });
}

function layersOf({ layers }: FeaturesBuildRequest, { n_layers }: TransformerConfig): number[] {
  const { from, to } = layers ?? { from: 0, to: n_layers };
  if (from < to && to <= n_layers) return Array.from({ length: to - from }, (_, i) => from + i);
  throw new UsageError({
    code: 'out_of_range',
    message: `--layers ${from}:${to}: the model has ${n_layers} layers`,
    hint: `Give FROM:TO within 0:${n_layers}; the end is excluded.`,
  });
}

/** Those of these layers that the set has. Throws `UsageError` where it has none of them. */
function withTranscoder(layers: readonly number[], set: TranscoderSet): number[] {
  const present = layers.filter((layer) => set.at(layer));
  if (present.length > 0) return present;
  throw new UsageError({
    code: 'out_of_range',
    message: `--layers ${layers[0]}:${layers.length + layers[0]!}: the set has no transcoder for ${layers.length > 1 ? 'these layers' : 'this layer'}`,
    hint: `It has those of ${set.layers.map(({ layer }) => layer).join(', ')}.`,
  });
}
