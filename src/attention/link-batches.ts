/** Attention: loadings of many links in parts, those of a batch of targets and of as many sources as have room at a time. */
import { DirectSums } from './direct-sums.ts';
import { firstLayer, firstPosition } from './forward-batch.ts';
import { headProducts, queriesByKey, type HeadProducts, type Pairs, type PathKind } from './head-products.ts';
import { addPositions } from './position-loadings.ts';
import { storedValues, type StoredValues } from './stored-values.ts';
import { walkTargets, type TargetBatch } from './target-walk.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** From a source to a target, both by their place in the lists asked for. */
export interface Link {
  readonly source: number;
  readonly target: number;
}

export interface LoadingsRequest {
  /** Sources that have a position, by their index. */
  readonly sources: Int32Array;
  readonly batches: readonly TargetBatch[];
  readonly links: readonly Link[];
  readonly kinds: readonly PathKind[];
  /** Also `last` and `first` by position: meant for a few links. */
  readonly withPositions?: boolean;
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
  const direct = new Float32Array(links.length);
  const linked = new Set(links.map(({ source }) => sources[source]!));
  const parts = portions(
    prompt,
    [...linked].sort((a, b) => a - b),
  );
  let done = 0;
  for (const [i, portion] of parts.entries()) {
    const stores: StoredValues[] = [];
    try {
      for await (const store of storedValues(prompt, Int32Array.from(portion))) stores.push(store);
      for (const batch of batches) {
        const placed = placeLinks(request, batch, stores);
        const walked = await walkBatch(prompt, request, batch, placed, i === 0 ? direct : null);
        if (placed.links.length > 0)
          yield { ...walked, direct: Float32Array.from(placed.links, (link) => direct[link]!) };
        request.onProgress?.(++done, parts.length * batches.length);
      }
    } finally {
      for (const store of stores) store[Symbol.dispose]();
    }
  }
}

/** Sources whose values have room in memory together. A source is kept from its layer and its position on. */
function portions(prompt: TracedPrompt, sources: readonly number[]): number[][] {
  const { n_layers, n_kv_heads, d_head } = prompt.replacement.model.config;
  const { list, n_pos } = prompt;
  const parts: number[][] = [];
  let room = 0;
  for (const source of sources) {
    const layers = n_layers - 1 - firstLayer(list, source);
    const places = n_pos - firstPosition(list, source) + 1;
    const bytes = layers * places * n_kv_heads * d_head * FLOAT32_BYTES;
    if (parts.length === 0 || bytes > room) {
      parts.push([]);
      room = MOST_STORED_BYTES;
    }
    parts.at(-1)!.push(source);
    room -= bytes;
  }
  return parts;
}

/** Links of a batch of targets, those of a store of sources side by side. */
interface PlacedLinks {
  /** Places in the list asked for. */
  readonly links: Int32Array;
  /** Row of each target in the batch, -1 outside. */
  readonly rowOf: ReadonlyMap<number, number>;
  readonly stores: readonly StoreLinks[];
}

interface StoreLinks extends Pairs {
  readonly store: StoredValues;
  /** Place of the first among the links of the batch. */
  readonly start: number;
}

function placeLinks(
  { links, sources }: LoadingsRequest,
  batch: TargetBatch,
  stores: readonly StoredValues[],
): PlacedLinks {
  const rowOf = new Map(Array.from(batch.targets, (target, row) => [target, row]));
  const placeOf = new Map(
    stores.flatMap(({ sources: own }, at) => Array.from(own, (source, column) => [source, { at, column }])),
  );
  const found = stores.map(() => ({ links: [] as number[], rows: [] as number[], columns: [] as number[] }));
  links.forEach(({ source, target }, link) => {
    const row = rowOf.get(target);
    const place = placeOf.get(sources[source]!);
    if (row === undefined || place === undefined) return;
    const own = found[place.at]!;
    own.links.push(link);
    own.rows.push(row);
    own.columns.push(place.column);
  });
  let start = 0;
  const placed = found.map(({ rows, columns }, at): StoreLinks => {
    const own = { store: stores[at]!, start, rows: Int32Array.from(rows), columns: Int32Array.from(columns) };
    start += rows.length;
    return own;
  });
  return {
    links: Int32Array.from(found.flatMap((own) => own.links)),
    rowOf,
    stores: placed.filter(({ rows }) => rows.length > 0),
  };
}

/** @param direct of all links; those of the batch are put there, unless null */
async function walkBatch(
  prompt: TracedPrompt,
  { links, sources, kinds, withPositions = false }: LoadingsRequest,
  batch: TargetBatch,
  placed: PlacedLinks,
  direct: Float32Array | null,
): Promise<Omit<LinkBatch, 'direct'>> {
  const { n_layers, n_heads } = prompt.replacement.model.config;
  const wide = withPositions ? placed.links.length * n_layers * n_heads * prompt.n_pos : 0;
  const byPosition = { lastKeys: new Float32Array(wide), firstQueries: new Float32Array(wide) };
  const parts: LinkPart[] = [];
  using sums = direct && new DirectSums(prompt, batch);
  await walkTargets(prompt, batch, {
    async heads(layer, attention, queries) {
      const byKey = kinds.includes('first') ? queriesByKey(attention, queries.all) : undefined;
      try {
        for (const own of placed.stores) {
          const { store, start } = own;
          const products = await headProducts(attention, own, batch, queries, store, layer, { kinds, byKey });
          if (!products) continue;
          parts.push({ layer, places: products.pairs.map((pair) => start + pair), values: products.values });
          if (withPositions) {
            const at = { batch, queries, store, layer };
            await addPositions(prompt, attention, at, own, start, byPosition);
          }
        }
      } finally {
        byKey?.dispose();
      }
    },
    ...(sums && {
      cutOutput: (layer, g) => sums.addOutput(layer, g),
      cutEmbedding: (g) => sums.addEmbedding(g),
    }),
  });
  if (sums) {
    const rows = await sums.values();
    links.forEach(({ source, target }, link) => {
      const row = placed.rowOf.get(target);
      if (row !== undefined) direct[link] = rows[row * prompt.list.n_sources + sources[source]!]!;
    });
  }
  return { links: placed.links, parts, ...byPosition };
}
