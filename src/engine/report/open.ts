/** Engine, `report`: the graph that the page is about, from a graph file or a viewer's. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { UsageError } from '../../errors.ts';
import type { PaperFile } from '../../paper/paper.ts';
import { DESCRIPTION_FILE } from '../../study/description.ts';
import { openSuggestible, type Suggestible } from '../graph/suggestible.ts';
import type { ReportRequest } from './types.ts';

export type OpenedGraph = Suggestible & {
  readonly file: PaperFile;
};

/** Throws as `openSuggestible`, and `UsageError` for a study. */
export async function openGraph(request: ReportRequest): Promise<OpenedGraph> {
  const { file, fileName = path.basename(request.file) } = request;
  await refuseStudy(file);
  return { ...(await openSuggestible(file, request)), file: await fileFacts(file, fileName) };
}

export async function fileFacts(file: string, name = path.basename(file)): Promise<PaperFile> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return { name, bytes: (await stat(file)).size, sha256: hash.digest('hex') };
}

async function refuseStudy(file: string): Promise<void> {
  const found = await stat(path.join(file, DESCRIPTION_FILE)).catch(() => undefined);
  if (found?.isFile() !== true) return;
  throw new UsageError({
    code: 'study_for_graph',
    message: `${file} is a study; a page is about one graph`,
    hint: `Name a graph file: one of those that the study was collected from, or what \`tracer graph circuit ${file} --output CIRCUIT\` writes.`,
  });
}
