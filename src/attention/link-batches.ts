/** Attention: loadings of many links in parts, those of a batch of targets and of as many sources as have room at a time. */
import { addDirect } from './direct-links.ts';
import { firstPosition } from './forward-batch.ts';
import { queriesByKey } from './first-products.ts';
import { headProducts, type HeadProducts, type PathKind } from './head-products.ts';
import { placeLinks, type Link, type PlacedLinks } from './placed-links.ts';
import { addPositions } from './position-loadings.ts';
import { storedValues, type StoredOptions, type StoredValues } from './stored-values.ts';
import { walkTargets, type TargetBatch } from './target-walk.ts';
import type { TracedPrompt } from './traced-prompt.ts';

export interface LoadingsRequest {
  /** Sources that have a position, by their index. */
  readonly sources: Int32Array;
  readonly batches: readonly TargetBatch[];
  readonly links: readonly Link[];
  readonly kinds: readonly PathKind[];
  /** Also `last` and `first` by position: meant for a few links. */
  readonly withPositions?: boolean;
  /** Bytes of residual streams that are walked together, and of values that are kept while targets are walked. */
  readonly limits?: { readonly batchBytes: number; readonly storedBytes: number };
  readonly onProgress?: (done: number, wanted: number) => void;
}

/** Loadings of some links. What no part has is 0. */
export interface LinkBatch {
  /** Places in the list asked for. */
  readonly links: Int32Array;
  /** What no head carries, [links]. */
  readonly direct: Float32Array;
  readonly parts: readonly LinkPart[];
  /** Of `last`, by key position, [links, n_layers, n_heads, n_pos]; empty unless asked for. */
  readonly lastKeys: Float32Array;
  /** Of `first`, by query position. */
  readonly firstQueries: Float32Array;
}

/** Of heads of one layer, and of some links of a batch: a link is in one part a layer at most. */
export interface LinkPart {
  readonly layer: number;
  /** Places among the links of the batch. */
  readonly places: Int32Array;
  /** Each kind asked for, [n_heads, places]. */
  readonly values: HeadProducts['values'];
}

/** Values that are kept while targets are walked; beyond it they are walked again for further sources. */
const MOST_STORED_BYTES = 2 ** 30;
const FLOAT32_BYTES = 4;

/** Each link once. */
export async function* linkBatches(
  prompt: TracedPrompt,
  request: LoadingsRequest,
): AsyncGenerator<LinkBatch, void, undefined> {
  const { links, sources, batches } = request;
  const linked = new Set(links.map(({ source }) => sources[source]!));
  const options = {
    queries: keptQueries(prompt, request),
    withValues: request.withPositions ?? false,
    withLastWrites: batches.some(({ vectors }) => vectors !== null),
    batchBytes: request.limits?.batchBytes,
  };
  const parts = portions(
    prompt,
    [...linked].sort((a, b) => a - b),
    options,
    request.limits?.storedBytes ?? MOST_STORED_BYTES,
  );
  let done = 0;
  for (const portion of parts) {
    const stores: StoredValues[] = [];
    try {
      for await (const store of storedValues(prompt, Int32Array.from(portion), options)) stores.push(store);
      for (const batch of batches) {
        const placed = placeLinks(request, batch, stores);
        if (placed.links.length > 0) yield await walkBatch(prompt, request, batch, placed);
        request.onProgress?.(++done, parts.length * batches.length);
      }
    } finally {
      for (const store of stores) store[Symbol.dispose]();
    }
  }
}

/** Queries at which the products look at what heads take, ascending: those of targets, or for `through` all. */
function keptQueries({ n_pos }: TracedPrompt, { batches, kinds }: LoadingsRequest): number[] {
  const all = Array.from({ length: n_pos }, (_, position) => position);
  if (kinds.includes('through')) return all;
  const read = new Set(batches.flatMap(({ positions }) => [...positions]));
  return all.filter((position) => read.has(position));
}

/** Sources whose values have room in memory together. A source is kept from its layer and its position on. */
function portions(
  { replacement, list, n_pos }: TracedPrompt,
  sources: readonly number[],
  { queries, withValues }: StoredOptions,
  mostBytes: number,
): number[][] {
  const { n_layers, n_heads, n_kv_heads, d_head, d_model } = replacement.model.config;
  const parts: number[][] = [];
  let room = 0;
  for (const source of sources) {
    const { kind, layer } = list.describe(source);
    const begins = layer ?? -1;
    const ends = kind === 'feature' ? replacement.transcoders.lastLayerWritten(begins) : begins;
    const written = (ends - begins + 1) * d_model;
    const layers = n_layers - 1 - begins;
    const first = firstPosition(list, source);
    const taken = queries.filter((query) => query >= first).length * n_heads;
    const values = (withValues ? n_pos - first + 1 : 1) * n_kv_heads;
    const bytes = (layers * (taken + values) * d_head + written) * FLOAT32_BYTES;
    if (parts.length === 0 || bytes > room) {
      parts.push([]);
      room = mostBytes;
    }
    parts.at(-1)!.push(source);
    room -= bytes;
  }
  return parts;
}

async function walkBatch(
  prompt: TracedPrompt,
  { kinds, withPositions = false }: LoadingsRequest,
  batch: TargetBatch,
  placed: PlacedLinks,
): Promise<LinkBatch> {
  const { n_layers, n_heads } = prompt.replacement.model.config;
  const { links } = placed;
  const wide = withPositions ? links.length * n_layers * n_heads * prompt.n_pos : 0;
  const byPosition = { lastKeys: new Float32Array(wide), firstQueries: new Float32Array(wide) };
  const direct = new Float32Array(links.length);
  const parts: LinkPart[] = [];
  await walkTargets(prompt, batch, {
    async cutPost(layer, g) {
      for (const own of placed.stores) await addDirect(direct, own, batch, layer, g);
    },
    async heads(layer, attention, queries) {
      const { underWay } = queries;
      const byKey = underWay && kinds.includes('first') ? queriesByKey(attention, underWay) : undefined;
      try {
        for (const own of placed.stores) {
          const { store, start } = own;
          const values = store.at(layer);
          if (!values) continue;
          const meeting = { attention, batch, queries, values };
          const products = await headProducts(meeting, own, { kinds, byKey });
          if (!products) continue;
          parts.push({ layer, places: products.pairs.map((pair) => start + pair), values: products.values });
          if (withPositions) {
            await addPositions(prompt, meeting, layer, own, start, byPosition);
          }
        }
      } finally {
        byKey?.dispose();
      }
    },
  });
  return { links, direct, parts, ...byPosition };
}
