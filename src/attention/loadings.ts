/** Attention, step 4: which heads carry links from sources to targets: by the last head of a path, by the first, through, alone. */
import type { AttentionMap } from '../attribution/attention-map.ts';
import { DirectSums } from './direct-sums.ts';
import { headProducts, PATH_KINDS, queriesByKey, type HeadProducts, type Pair } from './head-products.ts';
import { firstLayer, firstPosition } from './forward-batch.ts';
import { storedValues, type StoredValues } from './stored-values.ts';
import { walkTargets, type HeadQueries, type TargetBatch } from './target-walk.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** From a source to a target, both by their place in the lists asked for. */
export interface Link {
  readonly source: number;
  readonly target: number;
}

/** By link, then layer, then head. */
export interface Loadings {
  readonly n_layers: number;
  readonly n_heads: number;
  /** What no head carries, [links]. */
  readonly direct: Float32Array;
  /** Paths whose last head it is, [links, n_layers, n_heads]; with `direct` they add up to the link. */
  readonly last: Float32Array;
  /** Paths whose first head it is. */
  readonly first: Float32Array;
  /** Paths that use it anywhere: what the link loses with the head; empty unless asked for. */
  readonly through: Float32Array;
  /** Paths with this head alone. */
  readonly only: Float32Array;
  /** Of `last`, by key position, [links, n_layers, n_heads, n_pos]; empty unless asked for. */
  readonly lastKeys: Float32Array;
  /** Of `first`, by query position. */
  readonly firstQueries: Float32Array;
}

export interface LoadingsRequest {
  /** Sources that have a position, by their index. */
  readonly sources: Int32Array;
  readonly batches: readonly TargetBatch[];
  readonly links: readonly Link[];
  /** Gives `through` too, the one kind that takes as long as all else. */
  readonly withThrough: boolean;
  /** Also by position: meant for a few links. */
  readonly withPositions?: boolean;
  readonly onProgress?: (done: number, wanted: number) => void;
}

/** Values that are kept while targets are walked; beyond it they are walked again for further sources. */
const MOST_STORED_BYTES = 2 ** 30;
const FLOAT32_BYTES = 4;

/** Weight of a link. */
export function weightOf({ direct, last, n_layers, n_heads }: Loadings, link: number): number {
  const size = n_layers * n_heads;
  return last.subarray(link * size, (link + 1) * size).reduce((sum, value) => sum + value, direct[link]!);
}

export async function headLoadings(prompt: TracedPrompt, request: LoadingsRequest): Promise<Loadings> {
  const { n_layers, n_heads } = prompt.replacement.model.config;
  const { links, sources, batches, withThrough, withPositions = false } = request;
  const size = links.length * n_layers * n_heads;
  const loadings: Loadings = {
    n_layers,
    n_heads,
    direct: new Float32Array(links.length),
    last: new Float32Array(size),
    first: new Float32Array(size),
    through: new Float32Array(withThrough ? size : 0),
    only: new Float32Array(size),
    lastKeys: new Float32Array(withPositions ? size * prompt.n_pos : 0),
    firstQueries: new Float32Array(withPositions ? size * prompt.n_pos : 0),
  };
  const bySource = new Map<number, number[]>();
  links.forEach(({ source }, link) => {
    const index = sources[source]!;
    bySource.set(index, [...(bySource.get(index) ?? []), link]);
  });
  const parts = portions(
    prompt,
    [...bySource.keys()].sort((a, b) => a - b),
  );
  let done = 0;
  for (const [i, portion] of parts.entries()) {
    const stores: StoredValues[] = [];
    try {
      for await (const store of storedValues(prompt, Int32Array.from(portion))) stores.push(store);
      for (const batch of batches) {
        await walkBatch(prompt, request, batch, stores, bySource, loadings, i === 0);
        request.onProgress?.(++done, parts.length * batches.length);
      }
    } finally {
      for (const store of stores) store[Symbol.dispose]();
    }
  }
  return loadings;
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

/** A link of a batch and a store: its rows in both. */
interface PlacedLink extends Pair {
  readonly link: number;
}

async function walkBatch(
  prompt: TracedPrompt,
  { links, sources, withThrough }: LoadingsRequest,
  batch: TargetBatch,
  stores: readonly StoredValues[],
  bySource: ReadonlyMap<number, readonly number[]>,
  loadings: Loadings,
  isFirst: boolean,
): Promise<void> {
  const rowOf = new Map(Array.from(batch.targets, (target, row) => [target, row]));
  const placed = stores.map((store) =>
    Array.from(store.sources).flatMap((source, column): PlacedLink[] =>
      bySource.get(source)!.flatMap((link) => {
        const row = rowOf.get(links[link]!.target);
        return row === undefined ? [] : [{ link, row, column }];
      }),
    ),
  );
  using direct = isFirst ? new DirectSums(prompt, batch) : null;
  await walkTargets(prompt, batch, {
    async heads(layer, attention, queries) {
      const byKey = queriesByKey(attention, queries.all);
      try {
        for (const [i, store] of stores.entries()) {
          if (placed[i]!.length === 0) continue;
          const wanted = { withThrough, byKey };
          const products = await headProducts(attention, placed[i]!, batch, queries, store, layer, wanted);
          if (!products) continue;
          addProducts(loadings, placed[i]!, products, layer);
          if (loadings.lastKeys.length > 0)
            await addPositions(prompt, attention, { batch, queries, store, layer }, placed[i]!, loadings);
        }
      } finally {
        byKey.dispose();
      }
    },
    ...(direct && {
      cutOutput: (layer, g) => direct.addOutput(layer, g),
      cutEmbedding: (g) => direct.addEmbedding(g),
    }),
  });
  if (!direct) return;
  const sums = await direct.values();
  links.forEach(({ source, target }, link) => {
    const row = rowOf.get(target);
    if (row !== undefined) loadings.direct[link] = sums[row * prompt.list.n_sources + sources[source]!]!;
  });
}

function addProducts(
  loadings: Loadings,
  placed: readonly PlacedLink[],
  { pairs, ...products }: HeadProducts,
  layer: number,
): void {
  const { n_layers, n_heads } = loadings;
  for (const name of PATH_KINDS) {
    const values = products[name];
    if (!values) continue;
    for (let i = 0; i < pairs.length; i++) {
      const to = (placed[pairs[i]!]!.link * n_layers + layer) * n_heads;
      for (let head = 0; head < n_heads; head++)
        loadings[name][to + head]! += values[head * pairs.length + i]!;
    }
  }
}

interface AtLayer {
  readonly batch: TargetBatch;
  readonly queries: HeadQueries;
  readonly store: StoredValues;
  readonly layer: number;
}

/** Loadings by position, of a few links. */
async function addPositions(
  prompt: TracedPrompt,
  attention: AttentionMap,
  { batch, queries, store, layer }: AtLayer,
  placed: readonly PlacedLink[],
  { lastKeys, firstQueries, n_layers, n_heads }: Loadings,
): Promise<void> {
  const { all, own } = store.at(layer)!;
  const { n_pos } = prompt;
  const { d_head } = attention;
  const group = n_heads / attention.n_kv_heads;
  const [n, m] = [queries.cut.shape[0], all.shape[1]];
  const [z, cut, values, alone, pattern] = await Promise.all(
    [queries.all, queries.cut, all, own!, attention.dividedPattern].map((tensor) => tensor.data<'float32'>()),
  );
  const share = (head: number, query: number, key: number): number =>
    pattern![((Math.floor(head / group) * n_pos + query) * group + (head % group)) * n_pos + key]!;
  const product = (a: Float32Array, from: number, b: Float32Array, at: number): number => {
    let sum = 0;
    for (let j = 0; j < d_head; j++) sum += a[from + j]! * b[at + j]!;
    return sum;
  };
  const p0 = store.firstPosition;
  for (const { link, row, column } of placed) {
    if (row >= n || column >= m) continue;
    const [query, key] = [batch.positions[row]!, store.positions[column]!];
    for (let head = 0; head < n_heads; head++) {
      const to = ((link * n_layers + layer) * n_heads + head) * n_pos;
      const of = Math.floor(head / group) * d_head;
      const width = attention.n_kv_heads * d_head;
      for (let at = p0; at <= query; at++) {
        const value = product(
          cut!,
          (row * n_heads + head) * d_head,
          values!,
          ((at - p0) * m + column) * width + of,
        );
        lastKeys[to + at]! += share(head, query, at) * value;
      }
      for (let at = key; at < batch.n_pos; at++) {
        const value = product(z!, ((at * n + row) * n_heads + head) * d_head, alone!, column * width + of);
        firstQueries[to + at]! += share(head, at, key) * value;
      }
    }
  }
}
