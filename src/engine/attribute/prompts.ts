/** Engine, verb `attribute` for many prompts: one load, a graph each, and what is finished is not made again. */
import path from 'node:path';
import { EXIT, ExhaustedError, TracerError, UsageError } from '../../errors.ts';
import { checkWritable } from '../../formats/atomic.ts';
import { makeFolder } from '../../formats/output-path.ts';
import { attributeIn, targetsOf, tokensOf } from './attribute.ts';
import type {
  AttributePromptsRequest,
  AttributePromptsResult,
  AttributeRequest,
  PromptResult,
} from './types.ts';
import { finishedFiles } from './graph-files.ts';
import { readPromptList, type NamedPrompt, type PromptLine } from './prompt-list.ts';
import { inTemplate } from '../chat.ts';
import { graphProvenance } from '../provenance.ts';
import { openSession, type Session } from '../session.ts';
import { peakRssBytes } from '../stopwatch.ts';

const GRAPH_FILE_ENDING = '.safetensors';

/**
 * Traces the prompts of a list one after the other. A prompt that fails is reported in the result and does not stop the others;
 * errors that concern all of them (disk full, Ctrl-C) are thrown.
 */
export async function attributePrompts(request: AttributePromptsRequest): Promise<AttributePromptsResult> {
  await checkFolders(request);
  const lines = await readPromptList(request.prompts);
  using session = await openSession(request, { preloadEncoders: true });
  const prompts: PromptResult[] = [];
  for (const line of lines) {
    request.signal?.throwIfAborted();
    const result = await traceLine(session, request, line);
    prompts.push(result);
    report(request, result, prompts.length, lines.length);
  }
  const count = (test: (result: PromptResult) => boolean): number => prompts.filter(test).length;
  return {
    ...session.description,
    n_done: count((one) => one.ok && !one.skipped),
    n_skipped: count((one) => one.ok && one.skipped),
    n_failed: count((one) => !one.ok),
    prompts,
    timings_ms: { ...session.stopwatch.timings_ms },
    peak_rss_bytes: peakRssBytes(),
  };
}

async function traceLine(
  session: Session,
  request: AttributePromptsRequest,
  entry: PromptLine,
): Promise<PromptResult> {
  const { line, slug } = entry;
  try {
    if ('error' in entry) throw entry.error;
    const one = requestOf(request, entry);
    const files = await finished(session, one);
    if (files) return { line, slug, ok: true, skipped: true, files };
    return { line, slug, ok: true, skipped: false, graph: await attributeIn(session, one) };
  } catch (error) {
    if (request.signal?.aborted || error instanceof ExhaustedError) throw error;
    return { line, slug, ok: false, ...failure(error) };
  }
}

function requestOf(
  { output, graphDir, chat, ...shared }: AttributePromptsRequest,
  { fileName, prompt }: NamedPrompt,
): AttributeRequest {
  return {
    ...shared,
    input: { prompt, chat },
    ...(output !== undefined && { output: path.join(output, fileName + GRAPH_FILE_ENDING) }),
    ...(graphDir !== undefined && { graphDir, slug: fileName }),
  };
}

async function finished(session: Session, request: AttributeRequest) {
  const input = await inTemplate(request.input, session.subject.model.files, session.tokenizer);
  const tokens = tokensOf(input, session.prompts, request.targetPosition);
  return await finishedFiles(
    request,
    await graphProvenance(session, { input, tokens }, [], targetsOf(request), request),
  );
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

/** Refuses, before anything is computed, folders that cannot be written. */
async function checkFolders({ output, graphDir }: AttributePromptsRequest): Promise<void> {
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
    await checkWritable(path.join(folder, 'graph-metadata.json'));
    await makeFolder(folder);
  }
}
