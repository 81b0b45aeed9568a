/** Attention: what the sources of a forward batch write, layer by layer, as rows of the batch. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import { firstLayer, type ForwardBatch } from './forward-batch.ts';
import type { TracedPrompt } from './traced-prompt.ts';

/** Of the rows that have begun. Dispose it after use. */
export interface Writes extends Disposable {
  /** [positions, rows, d_model] */
  readonly shape: readonly [number, number, number];
  /** At the feature output (or the embedding), null where nothing is written there. */
  readonly all: Tensor3D | null;
  /** The same of each row at its own position, [rows, d_model]. */
  readonly own: Tensor2D | null;
  /** At hook_attn_out. */
  readonly attended: Tensor3D | null;
}

export class BatchWrites {
  /** Own position of each row; 0 of sources without one. */
  readonly positions: Int32Array;
  private readonly prompt: TracedPrompt;
  private readonly batch: ForwardBatch;
  private readonly n_pos: number;
  private readonly firsts: Int32Array;
  private readonly lasts: Int32Array;
  /** Row of each source, -1 of those that are not in the batch. */
  private readonly rowOf: Int32Array;

  constructor(prompt: TracedPrompt, batch: ForwardBatch, n_pos: number) {
    const { list, replacement } = prompt;
    const sources = Array.from(batch.sources, (source) => list.describe(source));
    this.prompt = prompt;
    this.batch = batch;
    this.n_pos = n_pos;
    this.positions = Int32Array.from(sources, ({ position }) => position ?? 0);
    this.firsts = batch.sources.map((source) => firstLayer(list, source));
    this.lasts = Int32Array.from(sources, ({ kind, layer }) =>
      kind === 'feature' ? replacement.transcoders.lastLayerWritten(layer!) : (layer ?? -1),
    );
    this.rowOf = new Int32Array(list.n_sources).fill(-1);
    batch.sources.forEach((source, row) => (this.rowOf[source] = row));
  }

  /** Rows that have begun to write at a layer or below. */
  begun(layer: number): number {
    const next = this.firsts.findIndex((first) => first > layer);
    return next < 0 ? this.firsts.length : next;
  }

  /** Rows of the embedding, which belong to the caller; undefined where there are none. */
  async embedding(): Promise<{ all: Tensor3D; own: Tensor2D } | undefined> {
    const { list, pass, positionVectors } = this.prompt;
    const n = this.begun(-1);
    if (n === 0) return undefined;
    const rows = new Rows(this, n, pass.tokenVectors.shape[1]);
    rows.addVectors(pass.tokenVectors, list.start.token);
    if (positionVectors) rows.addVectors(positionVectors, list.start.position);
    return await Promise.resolve(rows.made());
  }

  /** What the first n rows write in a layer. */
  async at(layer: number, n: number): Promise<Writes> {
    const { list, sources, replacement } = this.prompt;
    const { d_model } = replacement.model.config;
    const shape = [this.n_pos - this.batch.firstPosition, n, d_model] as const;
    const rows = new Rows(this, n, d_model);
    let attended: Tensor3D | null = null;
    try {
      if (this.lasts.some((last, row) => last >= layer && this.firsts[row]! <= layer)) {
        for await (const { firstPosition, at } of sources.blocks(
          layer,
          this.batch.firstPosition,
          this.n_pos,
        )) {
          at.forEach(({ vectors, columns }, i) => rows.addColumns(vectors, columns, firstPosition + i));
        }
      }
      const [bias, first] = [this.rowOf[list.start.bias + layer]!, this.rowOf[list.start.first + layer]!];
      if (bias >= 0 || first >= 0) {
        using constants = await this.prompt.constants(layer);
        if (bias >= 0 && constants.written) rows.addSpread(constants.written, bias);
        if (first >= 0 && constants.first) rows.addSpread(constants.first, first);
        if (bias >= 0 && constants.attended) {
          const behind = new Rows(this, n, d_model);
          behind.addSpread(constants.attended, bias);
          const made = behind.made();
          made.own.dispose();
          attended = made.all;
        }
      }
      const made = rows.isEmpty ? null : rows.made();
      return {
        shape,
        all: made?.all ?? null,
        own: made?.own ?? null,
        attended,
        [Symbol.dispose]: () => [made?.all, made?.own, attended].forEach((one) => one?.dispose()),
      };
    } catch (error) {
      attended?.dispose();
      rows.discard();
      throw error;
    }
  }

  /** Row of a source, -1 outside the batch. */
  row(source: number): number {
    return this.rowOf[source]!;
  }

  /** Place of a position among those walked; undefined outside. */
  place(position: number): number | undefined {
    const place = position - this.batch.firstPosition;
    return place >= 0 && position < this.n_pos ? place : undefined;
  }

  get n_places(): number {
    return this.n_pos - this.batch.firstPosition;
  }
}

/** Vectors put in their rows and positions by one gather: index 0 is a vector of zeros. */
class Rows {
  private readonly writes: BatchWrites;
  private readonly n: number;
  private readonly index: Int32Array;
  private readonly own: Int32Array;
  private readonly parts: Tensor2D[];
  private next = 1;

  constructor(writes: BatchWrites, n: number, d_model: number) {
    this.writes = writes;
    this.n = n;
    this.index = new Int32Array(writes.n_places * n);
    this.own = new Int32Array(n);
    this.parts = [tf.zeros([1, d_model])];
  }

  get isEmpty(): boolean {
    if (this.next > 1) return false;
    this.discard();
    return true;
  }

  /** Vectors by position, [pos, d_model], of sources that follow each other from `first` on. */
  addVectors(vectors: Tensor2D, first: number): void {
    const columns = Int32Array.from({ length: vectors.shape[0] }, (_, position) => first + position);
    this.add(
      vectors,
      Array.from(columns, (source, i) => ({ i, row: this.writes.row(source), position: i })),
    );
  }

  /** Vectors of sources at one position. */
  addColumns(vectors: Tensor2D, columns: Int32Array, position: number): void {
    this.add(
      vectors,
      Array.from(columns, (source, i) => ({ i, row: this.writes.row(source), position })),
    );
  }

  /** A vector a position, from 0 on, of one row. */
  addSpread(vectors: Tensor2D, row: number): void {
    this.add(
      vectors,
      Array.from({ length: vectors.shape[0] }, (_, position) => ({ i: position, row, position })),
    );
  }

  private add(vectors: Tensor2D, entries: { i: number; row: number; position: number }[]): void {
    const here = entries.filter(
      ({ row, position }) => row >= 0 && row < this.n && this.writes.place(position) !== undefined,
    );
    if (here.length === 0) return;
    here.forEach(({ row, position }, place) => {
      this.index[this.writes.place(position)! * this.n + row] = this.next + place;
      this.own[row] = this.next + place;
    });
    this.parts.push(
      tf.tidy(() =>
        tf.gather(
          vectors,
          tf.tensor1d(
            here.map(({ i }) => i),
            'int32',
          ),
        ),
      ),
    );
    this.next += here.length;
  }

  /** [positions, n, d_model], and each at its own position, [n, d_model]; both belong to the caller. */
  made(): { all: Tensor3D; own: Tensor2D } {
    const { n, writes } = this;
    try {
      return tf.tidy(() => {
        const vectors = tf.concat<Tensor2D>(this.parts);
        const all = tf.gather<Tensor2D>(vectors, tf.tensor1d(this.index, 'int32'));
        return {
          all: tf.reshape<tf.Rank.R3>(all, [writes.n_places, n, vectors.shape[1]]),
          own: tf.gather<Tensor2D>(vectors, tf.tensor1d(this.own, 'int32')),
        };
      });
    } finally {
      this.discard();
    }
  }

  discard(): void {
    for (const part of this.parts.splice(0)) part.dispose();
  }
}
