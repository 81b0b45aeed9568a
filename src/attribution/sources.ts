/** Attribution: the vectors that features and errors write into MLP outputs, by layer and position. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { MemoryBudget } from '../backend/budget.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { Recomputable } from '../backend/recomputable.ts';
import { FEATURE_FIELDS } from '../graph/graph.ts';
import type { RowColumns } from '../graph/row-columns.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { ErrorVectors, type SourcePass } from './error-vectors.ts';
import { FeatureRanges } from './feature-ranges.ts';

const FLOAT32_BYTES = 4;

/** Vectors are made in blocks of positions of about this size, so that little is in memory of what is not kept. */
const BLOCK_BYTES = 64 * 1024 * 1024;

/** Up to this size a block is multiplied in one product of `filled`, since a product for each position would take longer to start than to compute. */
const FILLED_BYTES = 2 ** 20;

/** Sources that write into one layer at one position. */
export interface SourcesAt {
  /** [columns.length, d_model]: activation × decoder row of each feature, then the error vector. */
  readonly vectors: Tensor2D;
  /** Columns of their edges. */
  readonly columns: Int32Array;
}

/** Sources at consecutive positions of a layer. */
export interface SourceBlock extends Disposable {
  readonly firstPosition: number;
  readonly at: readonly SourcesAt[];
  /** [at.length, most, d_model]: all of them filled up with zeros to one number a position; only of small blocks. */
  readonly filled?: Tensor3D;
}

/** Positions [first, stop) of a layer. */
interface Place {
  readonly layer: number;
  readonly first: number;
  readonly stop: number;
}

interface PlacedBlock extends Place {
  readonly block: Recomputable<SourceBlock>;
}

/**
 * All sources of a prompt that have a column. Blocks that the budget has no room for are made for each use, to the same numbers;
 * decoder rows are read from disk for it. Dispose it, or take it with `using`.
 */
export class Sources implements Disposable {
  readonly errors: ErrorVectors;
  private readonly replacement: ReplacementModel;
  private readonly pass: SourcePass;
  private readonly ranges: FeatureRanges;
  private columns: RowColumns;
  /** Column of each active feature, -1 where it has none. */
  private columnOf: Int32Array;
  /** [n_layers], in the order of positions. */
  private blocksOf: readonly (readonly PlacedBlock[])[];

  constructor(
    replacement: ReplacementModel,
    pass: SourcePass,
    columns: RowColumns,
    budget: MemoryBudget = replacement.budget,
  ) {
    this.replacement = replacement;
    this.pass = pass;
    this.errors = new ErrorVectors(replacement, pass);
    this.ranges = new FeatureRanges(pass.features, replacement.model.config.n_layers, pass.n_pos);
    this.columns = columns;
    this.columnOf = columnsByFeature(pass.features.values.length, columns);
    this.blocksOf = this.placed(budget);
  }

  /** Sources at positions [first, stop) of a layer, and some beside them, block by block; each is in use until the next. */
  async *blocks(layer: number, first: number, stop: number): AsyncGenerator<SourceBlock> {
    for (const place of this.blocksOf[layer]!) {
      if (place.stop <= first || place.first >= stop) continue;
      await yieldToEventLoop();
      using loan = await place.block.acquire();
      yield loan.value;
    }
  }

  /** From now on only sources with one of these columns are given out. Errors that are known stay known. */
  narrowTo(columns: RowColumns, budget: MemoryBudget = this.replacement.budget): void {
    this.disposeBlocks();
    this.columns = columns;
    this.columnOf = columnsByFeature(this.columnOf.length, columns);
    this.blocksOf = this.placed(budget);
  }

  /** Layers that blocks are made for, cut where they would become too large. */
  private placed(budget: MemoryBudget): PlacedBlock[][] {
    const { n_layers, d_model } = this.replacement.model.config;
    const { n_pos } = this.pass;
    const vectorBytes = d_model * FLOAT32_BYTES;
    return Array.from({ length: n_layers }, (_, layer) => {
      const blocks: PlacedBlock[] = [];
      for (let first = 0; first < n_pos;) {
        let n_vectors = 0;
        let stop = first;
        do n_vectors += this.countAt(layer, stop++);
        while (stop < n_pos && (n_vectors + this.countAt(layer, stop)) * vectorBytes <= BLOCK_BYTES);
        const place = { layer, first, stop };
        const block = new Recomputable(budget, n_vectors * vectorBytes, () => this.compute(place));
        blocks.push({ ...place, block });
        first = stop;
      }
      return blocks;
    });
  }

  /** Number of sources that write into a layer at a position. */
  private countAt(layer: number, position: number): number {
    let count = 1; // the error
    for (const source of this.layersWritingInto(layer)) {
      const stop = this.ranges.start(source, position + 1);
      for (let i = this.ranges.start(source, position); i < stop; i++) if (this.columnOf[i]! >= 0) count++;
    }
    return count;
  }

  /** Layers whose features write into `layer`. */
  private layersWritingInto(layer: number): number[] {
    const { transcoders } = this.replacement;
    return Array.from({ length: layer + 1 }, (_, source) => source).filter(
      (source) => transcoders.lastLayerWritten(source) >= layer,
    );
  }

  private async compute({ layer, first, stop }: Place): Promise<SourceBlock> {
    const { columns, columnOf, errors } = this;
    const { d_model } = this.replacement.model.config;
    const positions = Array.from({ length: stop - first }, (_, i) => first + i);
    const made = positions.map((position) => new VectorList(this.countAt(layer, position), d_model));
    const reconstruction = positions.every((position) => errors.isKnown(layer, position))
      ? null
      : await errors.reconstruct(layer, first, stop);
    const { indices, values } = this.pass.features;
    const unlisted = new VectorList(1, d_model);
    for (const source of this.layersWritingInto(layer)) {
      const all = rangeOf(this.ranges.start(source, first), this.ranges.start(source, stop));
      // Features without a column are part of what is explained, so they count until the errors are known.
      const needed = reconstruction ? all : all.filter((i) => columnOf[i]! >= 0);
      const decoder = await this.decoderOf(source, layer, needed);
      for (const i of needed) {
        const position = indices[FEATURE_FIELDS * i + 1]!;
        const list = columnOf[i]! >= 0 ? made[position - first]! : unlisted.emptied();
        const row = decoder.startOf(indices[FEATURE_FIELDS * i + 2]!);
        const start = list.push(decoder.rows, row, values[i]!, columnOf[i]!);
        reconstruction?.add(position, list.values, start);
      }
    }
    reconstruction?.finish();
    const at = positions.map((position, i) => {
      made[i]!.push(errors.at(layer, position), 0, 1, columns.errorColumn(layer, position));
      return made[i]!.sources();
    });
    const filled = filledUp(made, d_model);
    return {
      firstPosition: first,
      at,
      ...(filled && { filled }),
      [Symbol.dispose]: () => {
        at.forEach(({ vectors }) => vectors.dispose());
        filled?.dispose();
      },
    };
  }

  /** Decoder rows of features of `source` for what they write into `layer`; each is read once, however often it is active. */
  private async decoderOf(source: number, layer: number, active: Int32Array): Promise<DecoderRows> {
    const { transcoders, model } = this.replacement;
    const { indices } = this.pass.features;
    const ids = Int32Array.from(new Set(active.map((i) => indices[FEATURE_FIELDS * i + 2]!))).sort();
    const rows = await transcoders.decoderRows(source, ids, layer);
    const placeOf = new Int32Array(transcoders.featureCounts[source]!);
    ids.forEach((id, place) => (placeOf[id] = place));
    return { rows, startOf: (feature) => placeOf[feature]! * model.config.d_model };
  }

  private disposeBlocks(): void {
    for (const { block } of this.blocksOf.flat()) block[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.disposeBlocks();
  }
}

/** Decoder rows [n, d_model] one after the other, and where that of a feature begins. */
interface DecoderRows {
  readonly rows: Float32Array;
  startOf(feature: number): number;
}

/** Up to a number of vectors [d_model], one after the other, with their columns. */
class VectorList {
  readonly values: Float32Array;
  private readonly columns: Int32Array;
  private readonly d_model: number;
  private n = 0;

  constructor(count: number, d_model: number) {
    this.values = new Float32Array(count * d_model);
    this.columns = new Int32Array(count);
    this.d_model = d_model;
  }

  /** Appends factor × the vector that begins at `from` in `rows`; says where it begins in `values`. */
  push(rows: Float32Array, from: number, factor: number, column: number): number {
    const { values, d_model } = this;
    const start = this.n * d_model;
    for (let j = 0; j < d_model; j++) values[start + j] = rows[from + j]! * factor;
    this.columns[this.n++] = column;
    return start;
  }

  emptied(): this {
    this.n = 0;
    return this;
  }

  sources(): SourcesAt {
    return { vectors: tf.tensor2d(this.values, [this.n, this.d_model]), columns: this.columns };
  }
}

/** [lists, most, d_model]; undefined where that would be large. */
function filledUp(lists: readonly VectorList[], d_model: number): Tensor3D | undefined {
  const most = lists.reduce((longest, { values }) => Math.max(longest, values.length), 0);
  if (most * lists.length * FLOAT32_BYTES > FILLED_BYTES) return undefined;
  const all = new Float32Array(most * lists.length);
  lists.forEach(({ values }, i) => all.set(values, most * i));
  return tf.tensor3d(all, [lists.length, most / d_model, d_model]);
}

function columnsByFeature(n_active: number, { features }: RowColumns): Int32Array {
  const columns = new Int32Array(n_active).fill(-1);
  features.forEach((feature, column) => (columns[feature] = column));
  return columns;
}

function rangeOf(start: number, stop: number): Int32Array {
  return Int32Array.from({ length: stop - start }, (_, i) => start + i);
}
