/** Attention: where what sources are at each position lies among the rows of a forward batch. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { ForwardBatch, SourceGroup } from './forward-batch.ts';

/** Of a group, the sources that have begun. */
export interface RowBlock {
  readonly group: SourceGroup;
  /** Number of them. */
  readonly n: number;
  /** Row of the first one. */
  readonly start: number;
  /** Place of the first one among all sources that have begun. */
  readonly first: number;
}

/** Block by block, in each source by source, of each position by position from the first of its group on. */
export class RowLayout {
  readonly blocks: readonly RowBlock[];
  readonly n_rows: number;
  readonly n_sources: number;
  #ranks: ReadonlyMap<number, readonly [number, number]> | undefined;

  /** Of the sources that begin to write at a layer or below it. */
  constructor({ groups }: ForwardBatch, layer: number) {
    let [start, first] = [0, 0];
    this.blocks = groups.map((group) => {
      const later = group.firstLayers.findIndex((own) => own > layer);
      const block = { group, n: later < 0 ? group.firstLayers.length : later, start, first };
      start += block.n * group.n_places;
      first += block.n;
      return block;
    });
    this.n_rows = start;
    this.n_sources = first;
  }

  /** Row of a source of a block at a position that it can reach. */
  row(block: number, rank: number, position: number): number {
    const { start, group } = this.blocks[block]!;
    return start + rank * group.n_places + position - group.firstPosition;
  }

  /** Rows at a position, in the order of sources. Those that cannot reach it are the last sources: all before them have a row. */
  rowsAt(position: number): Int32Array {
    return Int32Array.from(
      this.blocks.flatMap(({ group, n }, block) =>
        group.firstPosition <= position && position < group.firstPosition + group.n_places
          ? Array.from({ length: n }, (_, rank) => this.row(block, rank, position))
          : [],
      ),
    );
  }

  /** Sources that have begun, [n_sources]. */
  sources(): Int32Array {
    return Int32Array.from(this.blocks.flatMap(({ group, n }) => [...group.sources.subarray(0, n)]));
  }

  /** Position of each row, [n_rows]. */
  positions(): Int32Array {
    const positions = new Int32Array(this.n_rows);
    for (const { group, n, start } of this.blocks)
      for (let i = 0; i < n * group.n_places; i++)
        positions[start + i] = group.firstPosition + (i % group.n_places);
    return positions;
  }

  /** Places of some sources among all that have begun. */
  places(sources: Int32Array): Int32Array {
    return sources.map((source) => {
      const [block, rank] = this.#found(source);
      return this.blocks[block]!.first + rank;
    });
  }

  /** Rows of some sources at their own positions. */
  ownRows(sources: Int32Array): Int32Array {
    return sources.map((source) => {
      const [block, rank] = this.#found(source);
      return this.row(block, rank, this.blocks[block]!.group.firstPosition);
    });
  }

  /** Own position of each source, [n_sources]. */
  ownPositions(): Int32Array {
    return Int32Array.from(
      this.blocks.flatMap(({ group, n }) => new Array<number>(n).fill(group.firstPosition)),
    );
  }

  /**
   * Rows x [before.n_rows, d] of an earlier layout in their places of this one, with the `fresh` sources behind them: rows of one
   * position each, which are 0 at the others, or of all positions of a spread group. Inside a tidy.
   */
  grown(before: RowLayout | null, x: Tensor2D | null, fresh: Tensor2D | null): Tensor2D {
    return this.#joined(before, x, fresh, true);
  }

  /** As `grown`, of sources at their own positions alone, [n_sources, d]; 0 of spread ones. */
  grownOwn(before: RowLayout | null, own: Tensor2D | null, fresh: Tensor2D | null): Tensor2D {
    return this.#joined(before, own, fresh, false);
  }

  #joined(before: RowLayout | null, x: Tensor2D | null, fresh: Tensor2D | null, isWhole: boolean): Tensor2D {
    let next = 0;
    const taken = (from: Tensor2D, start: number, n: number): Tensor2D => tf.slice(from, [start, 0], [n, -1]);
    const parts = this.blocks.flatMap(({ group, n }, i) => {
      const width = isWhole ? group.n_places : 1;
      const old = before?.blocks[i];
      const n_old = old?.n ?? 0;
      const begun = n_old > 0 ? [taken(x!, isWhole ? old!.start : old!.first, n_old * width)] : [];
      if (n === n_old) return begun;
      const n_fresh = n - n_old;
      const n_written = group.isSpread ? group.n_places : 1;
      const rows = taken(fresh!, next, n_fresh * n_written);
      next += n_fresh * n_written;
      if (group.isSpread && !isWhole) return [...begun, tf.zeros<tf.Rank.R2>([n_fresh, rows.shape[1]])];
      return [...begun, padded(rows, n_fresh, width - n_written)];
    });
    return parts.length === 1 ? parts[0]!.clone() : tf.concat<Tensor2D>(parts);
  }

  /** Block and rank of a source. */
  #found(source: number): readonly [number, number] {
    this.#ranks ??= new Map(
      this.blocks.flatMap(({ group, n }, block) =>
        Array.from(group.sources.subarray(0, n), (own, rank) => [own, [block, rank]] as const),
      ),
    );
    return this.#ranks.get(source)!;
  }
}

/** Rows [n · some, d] with `more` rows of zeros behind each `some`. Inside a tidy. */
function padded(rows: Tensor2D, n: number, more: number): Tensor2D {
  if (more === 0) return rows;
  const d = rows.shape[1];
  const behind = tf.pad(tf.reshape(rows, [n, -1, d]), [
    [0, 0],
    [0, more],
    [0, 0],
  ]);
  return tf.reshape<tf.Rank.R2>(behind, [-1, d]);
}
