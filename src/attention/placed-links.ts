/** Attention: where links lie among the rows of a batch of targets and the sources of stores. */
import type { Pairs } from './head-products.ts';
import type { StoredValues } from './stored-values.ts';
import type { TargetBatch } from './target-walk.ts';

/** From a source to a target, both by their place in the lists asked for. */
export interface Link {
  readonly source: number;
  readonly target: number;
}

/** Links of a batch of targets, those of a store of sources side by side. */
export interface PlacedLinks {
  /** Places in the list asked for. */
  readonly links: Int32Array;
  readonly stores: readonly StoreLinks[];
}

export interface StoreLinks extends Pairs {
  readonly store: StoredValues;
  /** Place of the first among the links of the batch. */
  readonly start: number;
}

export function placeLinks(
  { links, sources }: { readonly links: readonly Link[]; readonly sources: Int32Array },
  batch: TargetBatch,
  stores: readonly StoredValues[],
): PlacedLinks {
  const rowOf = new Map(Array.from(batch.targets, (target, row) => [target, row]));
  const placeOf = new Map(
    stores.flatMap(({ batch: { groups } }, at) =>
      groups.flatMap(({ sources: own }, block) =>
        Array.from(own, (source, rank) => [source, { at, block, rank }] as const),
      ),
    ),
  );
  const found = stores.map(() => ({
    links: [] as number[],
    rows: [] as number[],
    blocks: [] as number[],
    ranks: [] as number[],
  }));
  links.forEach(({ source, target }, link) => {
    const row = rowOf.get(target);
    const place = placeOf.get(sources[source]!);
    if (row === undefined || place === undefined) return;
    const own = found[place.at]!;
    own.links.push(link);
    own.rows.push(row);
    own.blocks.push(place.block);
    own.ranks.push(place.rank);
  });
  let start = 0;
  const placed = found.map(({ rows, blocks, ranks }, at): StoreLinks => {
    const own = {
      store: stores[at]!,
      start,
      rows: Int32Array.from(rows),
      blocks: Int32Array.from(blocks),
      ranks: Int32Array.from(ranks),
    };
    start += rows.length;
    return own;
  });
  return {
    links: Int32Array.from(found.flatMap((own) => own.links)),
    stores: placed.filter(({ rows }) => rows.length > 0),
  };
}
