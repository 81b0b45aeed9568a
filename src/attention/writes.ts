/** Attention: what the sources of a forward batch write, layer by layer. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import type { SkipMap } from '../attribution/linear-model.ts';
import type { ForwardBatch, SourceGroup } from './forward-batch.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** What arrives at hook_resid_post of a layer, or at the embedding. The tensors belong to the caller. */
export interface Writes {
  /** Of the sources that begin there, as `RowLayout.grown` takes them; null without any. */
  readonly fresh: Tensor2D | null;
  /** Those of them that have a position, one row of `fresh` each, behind the rows of others. */
  readonly beginners: Int32Array;
  /** Of sources that have begun and write again, each at its own position, [n, d_model]; null without any. */
  readonly again: Tensor2D | null;
  /** These sources, [n]. */
  readonly writers: Int32Array;
}

/** Of one batch. */
export class BatchWrites {
  private readonly prompt: TracedPrompt;
  private readonly groups: readonly SourceGroup[];
  private readonly spread: SourceGroup | undefined;
  /** First layer of each source. */
  private readonly firsts = new Map<number, number>();

  constructor(prompt: TracedPrompt, { groups }: ForwardBatch) {
    this.prompt = prompt;
    this.groups = groups.filter(({ isSpread }) => !isSpread);
    this.spread = groups.find(({ isSpread }) => isSpread);
    for (const { sources, firstLayers } of groups)
      sources.forEach((source, rank) => this.firsts.set(source, firstLayers[rank]!));
  }

  embedding(): Writes {
    const { list, pass, positionVectors } = this.prompt;
    const found = new FoundVectors(this.firsts);
    found.add(pass.tokenVectors, sequence(list.start.token, list.n_pos));
    if (positionVectors) found.add(positionVectors, sequence(list.start.position, list.n_pos));
    try {
      const beginners = this.beginning(-1);
      const fresh = beginners.length > 0 ? tf.tidy(() => found.of(beginners)) : null;
      return { fresh, beginners, again: null, writers: new Int32Array(0) };
    } finally {
      found[Symbol.dispose]();
    }
  }

  /** @param skip of the layer; null without one */
  async at(layer: number, skip: SkipMap | null): Promise<Writes> {
    const { linear, list, sources } = this.prompt;
    const found = new FoundVectors(this.firsts);
    const spread = await this.spreadAt(layer, skip);
    try {
      const [first] = this.groups;
      if (first) {
        const stop = first.firstPosition + first.n_places;
        for await (const { at } of sources.blocks(layer, first.firstPosition, stop))
          for (const { vectors, columns } of at) found.add(vectors, columns);
      }
      const writers = found.sources().filter((source) => this.firsts.get(source)! < layer);
      const written = (some: Int32Array): Tensor2D[] => {
        if (some.length === 0) return [];
        const positions = some.map((source) => list.describe(source).position!);
        return [linear.writtenEach(layer, positions, found.of(some))];
      };
      const beginners = this.beginning(layer);
      const fresh =
        spread.length + beginners.length > 0
          ? tf.tidy(() => tf.concat<Tensor2D>([...spread, ...written(beginners)]))
          : null;
      const again = writers.length > 0 ? tf.tidy(() => written(writers)[0]!) : null;
      return { fresh, beginners, again, writers };
    } finally {
      found[Symbol.dispose]();
      for (const rows of spread) rows.dispose();
    }
  }

  /** Sources of one position that begin at a layer, in the order of groups. */
  private beginning(layer: number): Int32Array {
    return Int32Array.from(
      this.groups.flatMap(({ sources, firstLayers }) =>
        Array.from(sources).filter((_, rank) => firstLayers[rank] === layer),
      ),
    );
  }

  /** Rows at all positions, [n_pos, d_model] each, of the sources of a layer that are spread over them. */
  private async spreadAt(layer: number, skip: SkipMap | null): Promise<Tensor2D[]> {
    const { spread, prompt } = this;
    if (!spread?.firstLayers.includes(layer)) return [];
    const { linear, list } = prompt;
    const { d_model } = prompt.replacement.model.config;
    const positions = sequence(0, spread.n_places);
    using constants = await prompt.constants(layer);
    const { attended, written, first } = constants;
    /** As many rows as there are positions. */
    const fitted = (rows: Tensor2D): Tensor2D => {
      const n = Math.min(rows.shape[0], positions.length);
      return tf.pad(tf.slice<tf.Rank.R2, Tensor2D>(rows, [0, 0], [n, -1]), [
        [0, positions.length - n],
        [0, 0],
      ]);
    };
    const through = (rows: Tensor2D): Tensor2D => linear.writtenEach(layer, positions, rows);
    const none = (): Tensor2D => tf.zeros([positions.length, d_model]);
    const bias = (): Tensor2D => {
      const mid = attended ? fitted(attended) : null;
      const outputs = [
        ...(written ? [fitted(written)] : []),
        ...(mid && skip && !linear.isParallel ? [skip.forthEach(positions, mid)] : []),
      ];
      const parts = [...(mid ? [mid] : []), ...(outputs.length > 0 ? [through(tf.addN(outputs))] : [])];
      return parts.length > 0 ? tf.addN(parts) : none();
    };
    const makers = new Map<number, () => Tensor2D>([
      [list.start.bias + layer, bias],
      [list.start.first + layer, () => (first ? through(fitted(first)) : none())],
    ]);
    return Array.from(spread.sources)
      .filter((source) => makers.has(source))
      .map((source) => tf.tidy(makers.get(source)!));
  }
}

/** Vectors of sources of a batch as they are found; of each source one. */
class FoundVectors implements Disposable {
  private readonly wanted: ReadonlyMap<number, unknown>;
  private readonly parts: Tensor2D[] = [];
  /** Of each source, its row among the parts. */
  private readonly rows = new Map<number, number>();

  constructor(wanted: ReadonlyMap<number, unknown>) {
    this.wanted = wanted;
  }

  /** @param vectors [columns.length, d_model], which stay the caller's */
  add(vectors: Tensor2D, columns: Int32Array): void {
    const places = Int32Array.from(columns.keys()).filter((place) => this.wanted.has(columns[place]!));
    if (places.length === 0) return;
    for (const place of places) this.rows.set(columns[place]!, this.rows.size);
    this.parts.push(
      places.length === columns.length
        ? vectors.clone()
        : tf.tidy(() => tf.gather(vectors, tf.tensor1d(places, 'int32'))),
    );
  }

  sources(): Int32Array {
    return Int32Array.from(this.rows.keys());
  }

  /** Inside a tidy. */
  of(sources: Int32Array): Tensor2D {
    const rows = sources.map((source) => this.rows.get(source)!);
    return tf.gather(tf.concat<Tensor2D>(this.parts), tf.tensor1d(rows, 'int32'));
  }

  [Symbol.dispose](): void {
    for (const part of this.parts.splice(0)) part.dispose();
  }
}

function sequence(first: number, n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => first + i);
}
