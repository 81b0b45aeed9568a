/** Engine, verb `attribute` for many prompts: one load, a graph each, and what is finished is not made again. */
import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { checkWritable } from '../../formats/atomic.ts';
import { makeFolder } from '../../formats/output-path.ts';
import { prepareSession } from '../session.ts';
import { partOf, shownShard } from '../shard.ts';
import { peakRssBytes } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';
import { Manifest, readManifests } from './manifest.ts';
import { traceHere } from './prompt-here.ts';
import { readPromptList } from './prompt-list.ts';
import { GRAPH_FILE_ENDING, PromptQueue } from './prompt-queue.ts';
import { traceInWorkers } from './prompt-workers.ts';
import type { AttributePromptsRequest, AttributePromptsResult, PromptResult } from './types.ts';

/**
 * Traces the prompts of a list, or of its part. A prompt that fails is reported in the result and does not stop the others; errors
 * that concern all of them (disk full, Ctrl-C) are thrown.
 */
export async function attributePrompts(request: AttributePromptsRequest): Promise<AttributePromptsResult> {
  const folder = await checkFolders(request);
  const all = await readPromptList(request.prompts);
  const lines = request.shard ? partOf(all, request.shard) : all;
  using prepared = await prepareSession(request, { preloadEncoders: true });
  await using manifest = await Manifest.open(folder, request.shard);
  const queue = new PromptQueue(request, prepared, manifest, lines);
  await queue.fill(await readManifests(folder));
  const { devices } = request;
  const used = await queue.work(() =>
    devices ? traceInWorkers(request, devices, queue) : traceHere(request, prepared, queue),
  );
  const prompts = queue.results;
  const count = (test: (result: PromptResult) => boolean): number => prompts.filter(test).length;
  return {
    ...prepared.names,
    ...(used ?? { backend: null, device: null }),
    dtype: prepared.dtype,
    ...(prepared.prompts.bos !== 'auto' && { bos: prepared.prompts.bos }),
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
