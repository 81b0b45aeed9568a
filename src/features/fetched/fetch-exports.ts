/** Features, fetched: all features of layers, from the exports. A layer is done when its pages are written; its files are then removed. */
import { rm } from 'node:fs/promises';
import { BadFileError } from '../../errors.ts';
import { listExport, type ExportFile } from '../../neuronpedia/exports.ts';
import {
  downloadExport,
  exportFolder,
  exportPath,
  missingFiles,
  removeExports,
  requireRoom,
  type ExportFolder,
} from './download-export.ts';
import { originOf, type FetchContext } from './fetch-context.ts';
import { mergeLayer, type MergedLayer } from './merge-layer.ts';
import { ExportReader, type ExportCounts } from './read-exports.ts';

export interface PlannedLayer {
  readonly layer: number;
  readonly files: readonly ExportFile[];
  /** Those of them that are not here yet. */
  readonly missing: readonly ExportFile[];
}

export interface FetchedExports {
  readonly layers: ReadonlyMap<number, MergedLayer & { readonly n_faults: number }>;
  /** Layers that have no exports. */
  readonly without: readonly number[];
  readonly n_requests: number;
  readonly bytes: number;
  readonly isAtLimit: boolean;
}

/** Layers whose exports were not read to their end before. */
export function layersLeft(
  layers: readonly number[],
  { state, again }: Pick<FetchContext, 'state' | 'again'>,
): number[] {
  return layers.filter((layer) => again || state.exportsOf(layer) === undefined);
}

/** What is to be fetched of a layer; null where it has no exports. */
export async function planLayer(
  layer: number,
  site: string,
  { http, template, fetched, signal }: FetchContext,
): Promise<PlannedLayer | null> {
  const files = await listExport(http, site, template, layer, { signal });
  if (files.length === 0) return null;
  return { layer, files, missing: await missingFiles(exportFolder(fetched.name, site, layer), files) };
}

/** Layer by layer. Files that are complete stay when it fails or is stopped, and the next run goes on after them. */
export async function fetchExports(
  layers: readonly number[],
  site: string,
  context: FetchContext,
  onBytes: (layer: number, done: number, total: number) => void,
  onRead: (layer: number, done: number, total: number) => void,
): Promise<FetchedExports> {
  const { fetched, mostRequests } = context;
  const done = new Map<number, MergedLayer & { n_faults: number }>();
  const without: number[] = [];
  let n_requests = 0;
  let bytes = 0;
  const outcome = (isAtLimit: boolean): FetchedExports => ({
    layers: done,
    without,
    n_requests,
    bytes,
    isAtLimit,
  });
  for (const layer of layers) {
    if (n_requests >= mostRequests) return outcome(true);
    n_requests++;
    const plan = await planLayer(layer, site, context);
    if (plan === null) {
      without.push(layer);
      continue;
    }
    const { files, missing } = plan;
    const folder = exportFolder(fetched.name, site, layer);
    await requireRoom(folder, missing);
    const total = bytesOf(files);
    let here = total - bytesOf(missing);
    for (const file of missing) {
      if (n_requests >= mostRequests) return outcome(true);
      n_requests++;
      await downloadExport(folder, file, context, (some) => onBytes(layer, here + some, total));
      here += file.bytes;
      bytes += file.bytes;
    }
    done.set(layer, await pagesOf(folder, files, context, (read) => onRead(layer, read, files.length)));
  }
  return outcome(false);
}

export function bytesOf(files: readonly ExportFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

async function pagesOf(
  folder: ExportFolder,
  files: readonly ExportFile[],
  context: FetchContext,
  onFile: (done: number) => void,
): Promise<MergedLayer & { n_faults: number }> {
  const { fetched, state, date, signal, onWarning } = context;
  const { layer } = folder;
  const { merged, counts } = await merge(folder, files, context, onFile);
  const { n_features, n_faults, firstFault } = counts;
  if (n_faults > 0) {
    onWarning(`layer ${layer}: ${n_faults} lines of the exports could not be used; the first: ${firstFault}`);
  }
  state.setExports(layer, { date, n_files: files.length, n_features, n_faults });
  await state.save(signal);
  await removeExports(fetched.name, layer);
  return { ...merged, n_faults };
}

async function merge(
  folder: ExportFolder,
  files: readonly ExportFile[],
  context: FetchContext,
  onFile: (done: number) => void,
): Promise<{ readonly merged: MergedLayer; readonly counts: ExportCounts }> {
  const { fetched, counts, again, signal } = context;
  const { layer } = folder;
  const subject = { layer, width: counts[layer]!, origin: originOf(context, layer) };
  await using reader = await ExportReader.open(folder, subject);
  for (const [i, file] of files.entries()) {
    try {
      await reader.read(file, signal);
    } catch (error) {
      // A damaged file would be found again by every later run, and those of another dictionary are of no use.
      if (error instanceof BadFileError) {
        const unused = error.code === 'other_width' ? files : [file];
        for (const one of unused) await rm(exportPath(folder, one), { force: true });
      }
      throw error;
    }
    onFile(i + 1);
  }
  const merged = await mergeLayer(fetched.name, reader.pages(signal), { layer, replaces: again, signal });
  return { merged, counts: reader.counts };
}
