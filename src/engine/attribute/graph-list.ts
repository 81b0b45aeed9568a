/** Engine: entries of `graph-metadata.json` for the graphs of a list of prompts, written together: once for each graph would take longer with each. */
import path from 'node:path';
import * as v from 'valibot';
import { looseJsonObject } from '../../formats/json-object.ts';
import { readJson } from '../../formats/json.ts';
import type { ViewerMetadata } from '../../graph/neuronpedia.ts';
import { viewerSlug } from '../../graph/slug.ts';
import { listedSlugs, listGraphs } from '../../graph/viewer-files.ts';

const ViewerFileSchema = looseJsonObject({ metadata: looseJsonObject({ slug: v.string() }) });

export class GraphList {
  readonly #added: ViewerMetadata[] = [];
  readonly #folder: string;
  readonly #earlier: string[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Graphs that were written. */
  add(graphs: readonly ViewerMetadata[]): void {
    for (const graph of graphs) this.#added.push(graph);
  }

  /** A graph that is there; a process that was killed may not have come to list it. */
  mayLack(fileName: string): void {
    this.#earlier.push(viewerSlug(fileName));
  }

  async write(): Promise<void> {
    const listed = await listedSlugs(this.#folder);
    const missing = this.#earlier.filter((slug) => !listed.has(slug));
    const found = await Promise.all(missing.map((slug) => this.#metadataOf(slug)));
    const all = [...found, ...this.#added];
    if (all.length > 0) await listGraphs(this.#folder, all);
  }

  async #metadataOf(slug: string): Promise<ViewerMetadata> {
    const { metadata } = await readJson(path.join(this.#folder, `${slug}.json`), ViewerFileSchema);
    return metadata as unknown as ViewerMetadata;
  }
}
