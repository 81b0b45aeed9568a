/** Engine: the prompts of a list: those that are left to trace, and what came of each, in the manifest, the list of graphs and the result. */
import path from 'node:path';
import { EXIT, ExhaustedError } from '../../errors.ts';
import type { ViewerMetadata } from '../../graph/neuronpedia.ts';
import { inTemplate } from '../chat.ts';
import { failureOf, type Failure } from '../failure.ts';
import { graphOrigin } from '../origin.ts';
import type { SavedFileResult } from '../result.ts';
import type { PreparedSession } from '../session.ts';
import { GraphList } from './graph-list.ts';
import { hasItsFiles, originDigest, type Manifest, type ManifestEntry } from './manifest.ts';
import type { NamedPrompt, PromptLine } from './prompt-list.ts';
import { targetsOf, tokensOf } from './trace.ts';
import {
  pruningOf,
  type AttributePromptsRequest,
  type AttributeRequest,
  type AttributeResult,
  type PromptResult,
} from './types.ts';

export const GRAPH_FILE_ENDING = '.safetensors';

/** A prompt that is left to trace. */
export interface Task {
  /** In the results. */
  readonly index: number;
  readonly line: PromptLine & NamedPrompt;
  readonly origin: string;
}

/** What graphs were traced with. */
export interface UsedBackend {
  readonly backend: string;
  readonly device: string;
}

export class PromptQueue {
  /** In the order of the lines. */
  readonly results: PromptResult[] = [];
  readonly #request: AttributePromptsRequest;
  readonly #prepared: PreparedSession;
  readonly #manifest: Manifest;
  readonly #lines: readonly PromptLine[];
  readonly #list: GraphList | undefined;
  readonly #left: Task[] = [];
  #nDone = 0;

  constructor(
    request: AttributePromptsRequest,
    prepared: PreparedSession,
    manifest: Manifest,
    lines: readonly PromptLine[],
  ) {
    this.#request = request;
    this.#prepared = prepared;
    this.#manifest = manifest;
    this.#lines = lines;
    // Parts of a list leave the list of graphs, which all of them would write, to a run over the whole.
    this.#list =
      request.graphDir === undefined || request.shard ? undefined : new GraphList(request.graphDir);
  }

  /** Finds out what is finished, and what cannot be traced. */
  async fill(known: ReadonlyMap<string, ManifestEntry>): Promise<void> {
    for (const [index, line] of this.#lines.entries()) {
      try {
        if ('error' in line) throw line.error;
        const origin = await this.#originOf(line);
        const entry = known.get(line.slug);
        if (entry?.origin === origin && (await hasItsFiles(entry))) await this.#again(index, line, entry);
        else this.#left.push({ index, line, origin });
      } catch (error) {
        this.failed({ index, line }, failureOf(error));
      }
    }
    this.#left.reverse(); // taken from the end
  }

  /** Runs `trace` if anything is left; the list of graphs is written whatever becomes of it. */
  async work<T>(trace: () => Promise<T>): Promise<T | undefined> {
    try {
      return this.#left.length === 0 ? undefined : await trace();
    } finally {
      await this.#list?.write();
    }
  }

  take(): Task | undefined {
    return this.#left.pop();
  }

  /** Of a task that was taken by somebody who is gone. */
  putBack(task: Task): void {
    this.#left.push(task);
  }

  requestOf({ line: { fileName, prompt } }: Pick<Task, 'line'>): AttributeRequest {
    const { output, graphDir, chat, ...shared } = this.#request;
    return {
      ...shared,
      input: { prompt, chat },
      ...(output !== undefined && { output: path.join(output, fileName + GRAPH_FILE_ENDING) }),
      ...(graphDir !== undefined && { graphDir, slug: fileName }),
    };
  }

  async done(task: Task, graph: AttributeResult, listed: readonly ViewerMetadata[]): Promise<void> {
    const { slug, line, prompt, metadata } = task.line;
    const { n_tokens, pruned, scores, files } = graph;
    await this.#manifest.append({
      slug,
      line,
      prompt,
      metadata,
      origin: task.origin,
      n_tokens,
      n_nodes: pruned.n_nodes,
      scan: this.#request.scan ?? this.#prepared.scan,
      scores,
      files,
    });
    this.#list?.add(listed);
    this.#finish(task.index, { line, slug, ok: true, skipped: false, graph });
  }

  /** Throws what concerns all prompts: the disk is full, or Ctrl-C. */
  failed({ index, line }: { readonly index: number; readonly line: PromptLine }, failure: Failure): void {
    this.#request.signal?.throwIfAborted();
    const { error, exit_code } = failure;
    if (exit_code === EXIT.exhausted) throw new ExhaustedError(error);
    this.#finish(index, { line: line.line, slug: line.slug, ok: false, ...failure });
  }

  /** What else the list says of a finished prompt may have changed since. */
  async #again(
    index: number,
    { line, slug, metadata, fileName }: Task['line'],
    entry: ManifestEntry,
  ): Promise<void> {
    if (JSON.stringify([entry.metadata, entry.line]) !== JSON.stringify([metadata, line]))
      await this.#manifest.append({ ...entry, metadata, line });
    this.#list?.mayLack(fileName);
    const files: readonly SavedFileResult[] = entry.files;
    this.#finish(index, { line, slug, ok: true, skipped: true, files });
  }

  #finish(index: number, result: PromptResult): void {
    this.results[index] = result;
    report(this.#request, result, ++this.#nDone, this.#lines.length);
  }

  async #originOf(line: Task['line']): Promise<string> {
    const one = this.requestOf({ line });
    const { subject, prompts } = this.#prepared;
    const input = await inTemplate(one.input, subject.model.files, prompts.tokenizer);
    const tokens = tokensOf(input, prompts, one.targetPosition);
    const origin = await graphOrigin(this.#prepared, { input, tokens }, targetsOf(one), one);
    const { output, graphDir } = this.#request;
    const viewed = graphDir === undefined ? null : pruningOf(one);
    return originDigest({ ...origin, isGraphKept: output !== undefined, viewed });
  }
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
