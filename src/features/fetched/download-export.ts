/** Features, fetched: the export files of a layer onto this machine, each complete or not at all; those that are there already are not fetched again. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BadFileError, ExhaustedError, NotFoundError } from '../../errors.ts';
import { writeFileAtomic } from '../../formats/atomic.ts';
import { makeFolder } from '../../formats/output-path.ts';
import { errnoCode } from '../../formats/system-errors.ts';
import { freeDiskBytes } from '../../hub/disk.ts';
import { PassingFault } from '../../hub/retry.ts';
import { exportUrl, type ExportFile } from '../../neuronpedia/exports.ts';
import type { NeuronpediaHttp } from '../../neuronpedia/http.ts';
import type { FetchContext } from './fetch-context.ts';

const FOLDER = '.exports';
/** A public bucket answers so for what is not there, too. */
const REFUSALS = [403, 404];

export interface ExportFolder {
  readonly path: string;
  readonly site: string;
  readonly layer: number;
}

export function exportFolder(target: string, site: string, layer: number): ExportFolder {
  return { path: join(target, FOLDER, String(layer)), site, layer };
}

/** Where a file lies: another content of the same name, which a later export has, lies elsewhere. */
export function exportPath({ path }: ExportFolder, file: ExportFile): string {
  return join(path, `${file.etag}-${file.path.replaceAll('/', '-')}`);
}

/** Those that are not here yet. */
export async function missingFiles(
  folder: ExportFolder,
  files: readonly ExportFile[],
): Promise<ExportFile[]> {
  const missing: ExportFile[] = [];
  for (const file of files) {
    if ((await sizeOf(exportPath(folder, file))) !== file.bytes) missing.push(file);
  }
  return missing;
}

/** Throws `ExhaustedError` where the disk has no room for them. */
export async function requireRoom(folder: ExportFolder, files: readonly ExportFile[]): Promise<void> {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const free = await freeDiskBytes(folder.path);
  if (free >= bytes) return;
  throw new ExhaustedError({
    code: 'disk_full',
    message: `the exports of layer ${folder.layer} have ${bytes} bytes, and the disk of ${folder.path} has ${free} bytes free`,
    hint: 'Make room, or choose another disk with TRACER_NEURONPEDIA_DIR. The files of a layer are removed when its pages are written.',
  });
}

/** Fetches one file. @param onBytes gets the bytes of it that are here, which fall back to 0 when it is begun anew */
export async function downloadExport(
  folder: ExportFolder,
  file: ExportFile,
  { http, template, signal }: FetchContext,
  onBytes: (bytes: number) => void,
): Promise<void> {
  await makeFolder(folder.path);
  const url = exportUrl(folder.site, template, folder.layer, file.path);
  await http.run(() => downloadOnce(folder, file, url, http, signal, onBytes), { signal });
}

async function downloadOnce(
  folder: ExportFolder,
  file: ExportFile,
  url: string,
  http: NeuronpediaHttp,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const request = { url, headers: { 'accept-encoding': 'identity' }, accept: REFUSALS };
  const answer = await http.open(request, signal);
  if (REFUSALS.includes(answer.status)) {
    await answer.discard();
    throw refused(http.describe(request), answer.status);
  }
  await writeFileAtomic(
    exportPath(folder, file),
    async (writer) => {
      let bytes = 0;
      for await (const chunk of answer.chunks()) {
        bytes += chunk.length;
        if (bytes > file.bytes) throw otherSize(url, file, `more than ${file.bytes}`);
        await writer.write(chunk);
        onBytes(bytes);
      }
      if (bytes < file.bytes) {
        throw new PassingFault(`${http.describe({ url })} ended after ${bytes} of ${file.bytes} bytes`);
      }
    },
    { signal },
  );
}

function refused(what: string, status: number): NotFoundError {
  return new NotFoundError({
    code: 'export_not_found',
    message: `${what} answered ${status}, although the file is listed`,
    hint: 'It may have been exported anew just now: start the same command again later.',
  });
}

function otherSize(url: string, file: ExportFile, found: string): BadFileError {
  return new BadFileError({
    code: 'bad_answer',
    message: `${url} has ${found} bytes, but is listed with ${file.bytes}`,
    hint: 'It may have been exported anew just now: start the same command again.',
  });
}

/** What was fetched of the layer, when it is not needed any more. */
export async function removeExports(target: string, layer: number): Promise<void> {
  await rm(join(target, FOLDER, String(layer)), { recursive: true, force: true });
  const left = await readdir(join(target, FOLDER)).catch(() => ['']); // not there: nothing to remove
  if (left.length === 0) await rm(join(target, FOLDER), { recursive: true, force: true });
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null;
    throw error;
  }
}
