/** Engine, verb `attribute` for many prompts: one load, a graph each, and what is finished is not made again. */
import path from 'node:path';
import { EXIT, ExhaustedError, TracerError, UsageError } from '../../errors.ts';
import { checkWritable } from '../../formats/atomic.ts';
import { makeFolder } from '../../formats/output-path.ts';
import { inTemplate } from '../chat.ts';
import { graphOrigin } from '../origin.ts';
import { prepareSession, type PreparedSession, type Session } from '../session.ts';
import type { SavedFileResult } from '../result.ts';
import { partOf, shownShard } from '../shard.ts';
import { peakRssBytes } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';
import { computeGraph, openLabels, type ComputedGraph, type KnownLabels } from './attribute.ts';
import { GraphList } from './graph-list.ts';
import { hasItsFiles, Manifest, originDigest, readManifests, type ManifestEntry } from './manifest.ts';
import { readPromptList, type NamedPrompt, type PromptLine } from './prompt-list.ts';
import { targetsOf, tokensOf } from './trace.ts';
import {
  pruningOf,
  type AttributePromptsRequest,
  type AttributePromptsResult,
  type AttributeRequest,
  type PromptResult,
} from './types.ts';

const GRAPH_FILE_ENDING = '.safetensors';

type NamedLine = PromptLine & NamedPrompt;

/**
 * Traces the prompts of a list, or of its part, one after the other. A prompt that fails is reported in the result and does not stop
 * the others; errors that concern all of them (disk full, Ctrl-C) are thrown.
 */
export async function attributePrompts(request: AttributePromptsRequest): Promise<AttributePromptsResult> {
  const folder = await checkFolders(request);
  const all = await readPromptList(request.prompts);
  const lines = request.shard ? partOf(all, request.shard) : all;
  using prepared = await prepareSession(request, { preloadEncoders: true });
  await using manifest = await Manifest.open(folder, request.shard);
  const work = new PromptWork(request, prepared, manifest, await readManifests(folder), lines);
  const prompts = await work.run();
  const count = (test: (result: PromptResult) => boolean): number => prompts.filter(test).length;
  return {
    ...(work.session?.description ?? {
      ...prepared.names,
      backend: null,
      device: null,
      dtype: prepared.dtype,
    }),
    n_done: count((one) => one.ok && !one.skipped),
    n_skipped: count((one) => one.ok && one.skipped),
    n_failed: count((one) => !one.ok),
    ...(request.shard && { shard: shownShard(request.shard) }),
    manifest: await writtenFile(manifest.path),
    prompts,
    timings_ms: { ...prepared.stopwatch.timings_ms },
    peak_rss_bytes: peakRssBytes(),
  };
}

/** Asks for the labels of each feature once: graphs of a list have most features in common, and labels lie in thousands of pages. */
function labelsOnce(source: KnownLabels): KnownLabels {
  const known = new Map<string, string | undefined>();
  return {
    async labels(features) {
      const wanted = Array.from(features, ([layer, feature]) => ({
        layer,
        feature,
        key: `${layer}_${feature}`,
      }));
      const asked = wanted.filter(({ key }) => !known.has(key));
      const found = await source.labels(asked.map(({ layer, feature }) => [layer, feature]));
      for (const { key } of asked) known.set(key, found[key]);
      const labelled = wanted.flatMap(({ key }) =>
        known.get(key) === undefined ? [] : [[key, known.get(key)!]],
      );
      return Object.fromEntries(labelled) as Record<string, string>;
    },
  };
}

class PromptWork {
  session: Session | undefined;
  readonly #request: AttributePromptsRequest;
  readonly #prepared: PreparedSession;
  readonly #manifest: Manifest;
  readonly #known: ReadonlyMap<string, ManifestEntry>;
  readonly #lines: readonly PromptLine[];
  readonly #list: GraphList | undefined;
  readonly #results: PromptResult[] = [];
  #nDone = 0;

  constructor(
    request: AttributePromptsRequest,
    prepared: PreparedSession,
    manifest: Manifest,
    known: ReadonlyMap<string, ManifestEntry>,
    lines: readonly PromptLine[],
  ) {
    this.#request = request;
    this.#prepared = prepared;
    this.#manifest = manifest;
    this.#known = known;
    this.#lines = lines;
    // Parts of a list leave the list of graphs, which all of them would write, to a run over the whole.
    this.#list =
      request.graphDir === undefined || request.shard ? undefined : new GraphList(request.graphDir);
  }

  /** In the order of the lines. */
  async run(): Promise<readonly PromptResult[]> {
    const left: { readonly index: number; readonly line: NamedLine; readonly origin: string }[] = [];
    for (const [index, line] of this.#lines.entries()) {
      await this.#attempt(index, line, async () => {
        if ('error' in line) throw line.error;
        const origin = await this.#originOf(line);
        const entry = this.#known.get(line.slug);
        if (entry?.origin !== origin || !(await hasItsFiles(entry))) left.push({ index, line, origin });
        else
          this.#finish(index, {
            ...numberOf(line),
            ok: true,
            skipped: true,
            files: await this.#again(line, entry),
          });
      });
    }
    if (left.length === 0) {
      await this.#list?.write();
      return this.#results;
    }
    const session = (this.session = await this.#prepared.load());
    let saving: Promise<void> = Promise.resolve();
    try {
      using _session = session;
      const labels = labelsOnce(await openLabels(session, this.#request));
      for (const { index, line, origin } of left) {
        this.#request.signal?.throwIfAborted();
        let computed: ComputedGraph | undefined;
        await this.#attempt(index, line, async () => {
          computed = await computeGraph(session, this.#requestOf(line), labels);
        });
        // Files are written while the next graph is computed.
        await saving;
        const ready = computed;
        if (ready) saving = this.#attempt(index, line, () => this.#save(index, line, origin, ready));
        saving.catch(() => undefined); // it is awaited, but maybe not before it fails
      }
      await saving;
    } finally {
      await saving.catch(() => undefined);
      await this.#list?.write();
    }
    return this.#results;
  }

  async #save(index: number, line: NamedLine, origin: string, computed: ComputedGraph): Promise<void> {
    const graph = await computed.save(this.#list?.added ?? []);
    const { slug, line: number, prompt, metadata } = line;
    const { n_tokens, scores, files } = graph;
    await this.#manifest.append({ slug, line: number, prompt, metadata, origin, n_tokens, scores, files });
    this.#finish(index, { ...numberOf(line), ok: true, skipped: false, graph });
  }

  /** The files of a finished graph. What else the list says of the prompt may have changed since. */
  async #again(line: NamedLine, entry: ManifestEntry): Promise<readonly SavedFileResult[]> {
    const { metadata, line: number } = line;
    if (JSON.stringify([entry.metadata, entry.line]) !== JSON.stringify([metadata, number]))
      await this.#manifest.append({ ...entry, metadata, line: number });
    this.#list?.mayLack(line.fileName);
    return entry.files;
  }

  async #attempt(index: number, line: PromptLine, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#request.signal?.aborted || error instanceof ExhaustedError) throw error;
      this.#finish(index, { ...numberOf(line), ok: false, ...failure(error) });
    }
  }

  #finish(index: number, result: PromptResult): void {
    this.#results[index] = result;
    report(this.#request, result, ++this.#nDone, this.#lines.length);
  }

  async #originOf(line: NamedLine): Promise<string> {
    const one = this.#requestOf(line);
    const { subject, prompts } = this.#prepared;
    const input = await inTemplate(one.input, subject.model.files, prompts.tokenizer);
    const tokens = tokensOf(input, prompts, one.targetPosition);
    const origin = await graphOrigin(this.#prepared, { input, tokens }, targetsOf(one), one);
    const { output, graphDir } = this.#request;
    return originDigest({
      ...origin,
      isGraphKept: output !== undefined,
      viewed: graphDir !== undefined && pruningOf(one),
    });
  }

  #requestOf({ fileName, prompt }: NamedPrompt): AttributeRequest {
    const { output, graphDir, chat, ...shared } = this.#request;
    return {
      ...shared,
      input: { prompt, chat },
      ...(output !== undefined && { output: path.join(output, fileName + GRAPH_FILE_ENDING) }),
      ...(graphDir !== undefined && { graphDir, slug: fileName }),
    };
  }
}

function numberOf({ line, slug }: PromptLine) {
  return { line, slug };
}

function failure(error: unknown) {
  if (error instanceof TracerError) {
    const { code, message, hint, exitCode } = error;
    return { error: { code, message, ...(hint !== undefined && { hint }) }, exit_code: exitCode };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { error: { code: 'unexpected', message }, exit_code: EXIT.unexpected };
}

function report(request: AttributePromptsRequest, result: PromptResult, done: number, total: number): void {
  const name = result.slug ?? `line ${result.line}`;
  const label = `${name} (${done} of ${total})`;
  if (!result.ok) request.onProgress?.({ kind: 'warning', message: `${label}: ${result.error.message}` });
  else {
    const outcome = result.skipped ? 'was finished before' : `${result.graph.n_nodes} nodes`;
    request.onProgress?.({ kind: 'note', message: `${label}: ${outcome}` });
  }
}

/** Refuses, before anything is computed, folders that cannot be written; gives the one where the manifest lies. */
async function checkFolders({ output, graphDir }: AttributePromptsRequest): Promise<string> {
  if (output === undefined && graphDir === undefined) {
    throw new UsageError({
      code: 'nowhere_to_write',
      message: '--prompts writes a graph for each prompt, but no folder is named',
      hint: 'Give --graph-dir DIR for the viewer, or --output DIR for graph files, or both.',
    });
  }
  if (output?.endsWith(GRAPH_FILE_ENDING)) {
    throw new UsageError({
      code: 'output_is_a_file',
      message: `--output: with --prompts it names a folder, found '${output}'`,
      hint: 'Each graph becomes FOLDER/SLUG.safetensors.',
    });
  }
  for (const folder of [output, graphDir]) {
    if (folder === undefined) continue;
    await checkWritable(path.join(folder, 'manifest.jsonl'));
    await makeFolder(folder);
  }
  return output ?? graphDir!;
}
