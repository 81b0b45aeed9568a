/** Attention: loadings of many links in parts, those of a batch of targets and of as many sources as have room at a time. */
import { DirectSums } from './direct-sums.ts';
import { firstLayer, firstPosition } from './forward-batch.ts';
import { headProducts, queriesByKey, type Pairs, type PathKind } from './head-products.ts';
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

/** Loadings of some links. */
export interface LinkBatch {
  /** Places in the list asked for. */
  readonly links: Int32Array;
  /** What no head carries, [links]. */
  readonly direct: Float32Array;
  /** Each kind asked for, [n_layers, n_heads, links]. */
  readonly values: ReadonlyMap<PathKind, Float32Array>;
  /** Of `last`, by key position, [links, n_layers, n_heads, n_pos]; empty unless asked for. */
  readonly lastKeys: Float32Array;
  /** Of `first`, by query position. */
  readonly firstQueries: Float32Array;
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
  const count = placed.links.length;
  const size = n_layers * n_heads * count;
  const values = new Map(kinds.map((kind) => [kind, new Float32Array(size)]));
  const [lastKeys, firstQueries] = [0, 1].map(
    () => new Float32Array(withPositions ? size * prompt.n_pos : 0),
  ) as [Float32Array, Float32Array];
  using sums = direct && new DirectSums(prompt, batch);
  await walkTargets(prompt, batch, {
    async heads(layer, attention, queries) {
      const byKey = kinds.includes('first') ? queriesByKey(attention, queries.all) : undefined;
      try {
        for (const own of placed.stores) {
          const { store, start } = own;
          const products = await headProducts(attention, own, batch, queries, store, layer, { kinds, byKey });
          if (!products) continue;
          for (const [kind, all] of values)
            putProducts(products[kind]!, products.pairs, all, { row: layer * n_heads, count, start });
          if (withPositions)
            await addPositions(prompt, attention, { batch, queries, store, layer }, own, start, {
              lastKeys,
              firstQueries,
            });
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
  return { links: placed.links, values, lastKeys, firstQueries };
}

/** Products [n_heads, pairs] put into rows of `to`, [n_layers · n_heads, count], from `row` on. */
function putProducts(
  products: Float32Array,
  pairs: Int32Array,
  to: Float32Array,
  { row, count, start }: { row: number; count: number; start: number },
): void {
  const n = pairs.length;
  for (let from = 0, at = row * count + start; from < products.length; from += n, at += count)
    for (let i = 0; i < n; i++) to[at + pairs[i]!] = products[from + i]!;
}
