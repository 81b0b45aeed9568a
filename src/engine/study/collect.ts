/** Engine, verb `graph collect`: graph files and their manifests as the tables of a study. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { BadFileError, NotFoundError, UsageError } from '../../errors.ts';
import { replaceFolder } from '../../formats/replace-folder.ts';
import { readGraph } from '../../graph/files.ts';
import type { Graph } from '../../graph/graph.ts';
import type { PruneOptions } from '../../graph/prune.ts';
import {
  DESCRIPTION_FILE,
  descriptionText,
  foreignName,
  subjectOf,
  tableFile,
  type StudyDescription,
} from '../../study/description.ts';
import { graphRows, isStoredPruned, storedThresholds } from '../../study/graph-rows.ts';
import { metadataColumns, metadataValue, type MetadataColumn } from '../../study/metadata-columns.ts';
import { TABLE_NAMES } from '../../study/tables.ts';
import { StudyWriter } from '../../study/write.ts';
import { packageVersion } from '../provenance.ts';
import { peakRssBytes } from '../stopwatch.ts';
import { writtenFile } from '../written-file.ts';
import { findEntries, refuseMissing, type CollectedEntry } from './entries.ts';
import type { CollectRequest, CollectResult, SkippedGraph } from './types.ts';

/**
 * Reads one graph after the other. The tables do not depend on how the list was divided, on the order of folders, or on whether graphs
 * were stored whole. Errors are those of `findEntries` and `readGraph`; `UsageError` for graphs of different sets.
 */
export async function collect(request: CollectRequest): Promise<CollectResult> {
  const { output, signal } = request;
  const { entries, missing } = await findEntries(request.folders);
  if (!request.skipDamaged) refuseMissing(missing, entries.length + missing.length);
  const metadata = metadataColumns(entries.map((entry) => entry.metadata));
  const options = { what: 'a study', inTheWay: foreignName, signal };
  const work = await replaceFolder(output, options, async (draft) => {
    const collecting = new Collecting(request, metadata);
    await collecting.run(draft, entries);
    return collecting;
  });
  const files = [DESCRIPTION_FILE, ...TABLE_NAMES.map((table) => path.basename(tableFile('', table)))];
  return {
    study: output,
    ...work.counts,
    skipped: [...missing, ...work.skipped],
    metadata: metadata.map(({ name, column, type }) => ({ name, column, type })),
    files: await Promise.all(files.map((name) => writtenFile(path.join(output, name)))),
    peak_rss_bytes: peakRssBytes(),
  };
}

class Collecting {
  readonly skipped: SkippedGraph[] = [];
  counts = { n_graphs: 0, n_nodes: 0, n_edges: 0, n_features: 0 };
  #description: StudyDescription | undefined;
  #first = '';
  readonly #request: CollectRequest;
  readonly #metadata: readonly MetadataColumn[];

  constructor(request: CollectRequest, metadata: readonly MetadataColumn[]) {
    this.#request = request;
    this.#metadata = metadata;
  }

  async run(draft: string, entries: readonly CollectedEntry[]): Promise<void> {
    const scratch = path.join(draft, 'scratch');
    await mkdir(scratch);
    {
      using writer = await StudyWriter.open(draft, scratch, this.#metadata);
      for (const [i, entry] of entries.entries()) {
        this.#request.signal?.throwIfAborted();
        await this.#addOne(writer, entry);
        this.#report(i + 1, entries.length);
      }
      if (this.#description === undefined) throw nothingLeft(entries.length);
      await writer.finish();
      const { graphs, nodes, edges, features } = writer.counts;
      this.counts = { n_graphs: graphs, n_nodes: nodes, n_edges: edges, n_features: features };
    }
    await rm(scratch, { recursive: true, force: true });
    const description = { ...this.#description, n_graphs: this.counts.n_graphs };
    await writeFile(path.join(draft, DESCRIPTION_FILE), descriptionText(description));
  }

  async #addOne(writer: StudyWriter, entry: CollectedEntry): Promise<void> {
    const graph = await this.#read(entry);
    if (!graph) return;
    this.#requireOneSet(entry.slug, graph);
    checkThresholds(entry.file, graph, this.#request);
    const { slug, line, prompt, file, metadata } = entry;
    const facts = {
      ...{ slug, line, prompt, file: path.basename(file), tokens: graph.provenance.token_strings },
      metadata: this.#metadata.map((column) => metadataValue(metadata, column)),
    };
    writer.add(facts, graphRows(graph, this.#request));
  }

  /** Undefined for one that is damaged and may be left out. */
  async #read({ slug, file }: CollectedEntry): Promise<Graph | undefined> {
    try {
      return await readGraph(file);
    } catch (error) {
      const isDamage = error instanceof BadFileError || error instanceof NotFoundError;
      if (!this.#request.skipDamaged || !isDamage) throw error;
      this.skipped.push({ slug, message: error.message });
      return undefined;
    }
  }

  #requireOneSet(slug: string, { layout, provenance }: Graph): void {
    const own = { ...subjectOf(provenance), n_layers: layout.n_layers };
    if (this.#description === undefined) {
      const { vocabulary_size, scan } = provenance;
      const metadata = this.#metadata.map(({ name, column, type }) => ({ name, column, type }));
      this.#description = {
        ...{ tracer_version: packageVersion(), n_graphs: 0 },
        ...own,
        ...{ vocabulary_size, scan, metadata },
      };
      this.#first = slug;
      return;
    }
    const { model, transcoders, n_layers } = this.#description;
    if (JSON.stringify({ model, transcoders, n_layers }) === JSON.stringify(own)) return;
    throw new UsageError({
      code: 'different_sets',
      message: `${this.#first} and ${slug} were made with different models or sets: ${nameOf(this.#description)}; ${nameOf(own)}`,
      hint: 'Features can only be matched within one set: collect the graphs of each into a study of its own.',
    });
  }

  #report(done: number, total: number): void {
    this.#request.onProgress?.({
      ...{ kind: 'progress', phase: 'collect', message: 'Reading graphs' },
      ...{ done, total, unit: 'rows' },
    });
  }
}

function nameOf(subject: Pick<StudyDescription, 'model' | 'transcoders' | 'n_layers'>): string {
  const { model, transcoders, n_layers } = subject;
  const parts = [model, transcoders].map(({ name, revision, config_sha256 }) => {
    const version = revision ?? config_sha256;
    return version === null ? name : `${name} (${version})`;
  });
  return `${parts.join(' with ')}, ${n_layers} layers`;
}

/** What was pruned away cannot come back: thresholds that were typed have to be those that a stored graph has. */
function checkThresholds(file: string, graph: Graph, { nodeThreshold, edgeThreshold }: PruneOptions): void {
  if (!isStoredPruned(graph)) return;
  const stored = storedThresholds(graph);
  const differs = (asked: number | undefined, found: number | null): boolean =>
    asked !== undefined && asked !== found;
  if (!differs(nodeThreshold, stored.nodeThreshold) && !differs(edgeThreshold, stored.edgeThreshold)) return;
  throw new UsageError({
    code: 'pruned_before',
    message: `${file} was stored pruned (--store nodes), with thresholds ${stored.nodeThreshold} for nodes and ${stored.edgeThreshold} for edges`,
    hint: 'Leave --node-threshold and --edge-threshold out, or trace the prompts with --store full.',
  });
}

function nothingLeft(total: number): BadFileError {
  return new BadFileError({
    code: 'no_graph_left',
    message: total === 1 ? 'the only graph cannot be read' : `none of ${total} graphs can be read`,
    hint: 'Run `tracer attribute --prompts` again.',
  });
}
