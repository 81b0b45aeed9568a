/** Attribution, checked: what an edge and a row ought to be, measured in the frozen model and in the attributed pass. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '../backend/backend.ts';
import { MemoryBudget } from '../backend/budget.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { FEATURE_FIELDS } from '../graph/graph.ts';
import { isAffine } from '../model/block-spec.ts';
import type { ForwardResult } from '../model/transformer.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { Attribution } from './attribute.ts';
import type { ErrorVectors, SourcePass } from './error-vectors.ts';
import { FrozenModel, type Written } from './frozen-model.ts';
import { Sources } from './sources.ts';

const ROWS_BETWEEN_EVENTS = 64;

/** An attribution, asked for what its edges were made of. Dispose it, or take it with `using`. */
export class Check implements Disposable {
  readonly n_rows: number;
  private readonly replacement: ReplacementModel;
  private readonly attribution: Attribution;
  private readonly frozen: FrozenModel;
  private readonly errors: ErrorVectors;
  /** What is written by no node: decoder biases, MLPs at positions that are left out, features left out. */
  private readonly constants: Written;
  private readonly signal: AbortSignal | undefined;
  private nothing: Promise<ForwardResult> | undefined;
  /** Of the layer that was asked for last. */
  private encoders: EncoderVectors | undefined;
  private readonly ignored: number;
  private readonly n_selected: number;
  /** Nodes, which are the columns. */
  private readonly n_nodes: number;
  /** Numbers of a tensor, read once: thousands of rows read from the same few. */
  private readonly numbers = new WeakMap<Tensor, Promise<Float32Array>>();

  private constructor(
    replacement: ReplacementModel,
    attribution: Attribution,
    frozen: FrozenModel,
    { errors, constants }: { readonly errors: ErrorVectors; readonly constants: Written },
    signal: AbortSignal | undefined,
  ) {
    this.replacement = replacement;
    this.attribution = attribution;
    this.frozen = frozen;
    this.errors = errors;
    this.constants = constants;
    this.signal = signal;
    this.ignored = replacement.ignoredPositions(attribution.tokens);
    this.n_selected = attribution.selected.length;
    this.n_rows = this.n_selected + attribution.targets.ids.length;
    this.n_nodes = attribution.edges.length / this.n_rows;
  }

  /** Runs the attributed pass again: rows are measured by other tensors than they were made of. */
  static async of(
    replacement: ReplacementModel,
    attribution: Attribution,
    signal: AbortSignal | undefined,
  ): Promise<Check> {
    const frozen = await FrozenModel.of(replacement, attribution.tokens, signal);
    try {
      const others = await writtenByNoNode(replacement, attribution, frozen, signal);
      return new Check(replacement, attribution, frozen, others, signal);
    } catch (error) {
      frozen[Symbol.dispose]();
      throw error;
    }
  }

  nodeOfRow(row: number): number {
    return row < this.n_selected ? row : this.n_nodes - this.n_rows + row;
  }

  edge(row: number, source: number): number {
    return this.row(row)[source]!;
  }

  largestOf(row: number): number {
    return this.row(row).reduce((largest, edge) => Math.max(largest, Math.abs(edge)), 0);
  }

  /** Sources that the target can be reached from: below it, and not behind it. */
  sourcesOf(row: number): number[] {
    const { n_layers, n_pos } = this.attribution.columns;
    const target = row < this.n_selected ? this.feature(row) : { layer: n_layers, position: n_pos - 1 };
    const sources: number[] = [];
    for (let source = 0; source < this.n_selected; source++) {
      const { layer, position } = this.feature(source);
      if (layer < target.layer && position <= target.position) sources.push(source);
    }
    for (let layer = 0; layer < target.layer; layer++) {
      for (let position = this.ignored; position <= target.position; position++) {
        sources.push(this.n_selected + layer * n_pos + position);
      }
    }
    const tokens = this.n_selected + n_layers * n_pos;
    for (let position = 0; position <= target.position; position++) sources.push(tokens + position);
    return sources;
  }

  /** What a source changes at a target. */
  async measure(row: number, source: number): Promise<number> {
    using pass = await this.frozen.run(await this.writtenBy(source));
    const value = await this.read(row, pass);
    // Biases make the frozen model affine: an effect is the difference to the pass of nothing.
    return isAffine(this.replacement.model.config.block)
      ? value - (await this.read(row, await this.unwritten()))
      : value;
  }

  /** The pass of nothing, once. */
  private unwritten(): Promise<ForwardResult> {
    this.nothing ??= this.frozen.run({ mlpOut: new Map() });
    return this.nothing;
  }

  /** How far each row is from what it has to sum to. */
  async rowErrors(): Promise<number[]> {
    using pass = await this.frozen.run(this.constants);
    const errors: number[] = [];
    for (let row = 0; row < this.n_rows; row++) {
      if (row % ROWS_BETWEEN_EVENTS === 0) await yieldToEventLoop();
      this.signal?.throwIfAborted();
      const expected = await this.read(row, this.frozen);
      const constant = await this.read(row, pass);
      let sum = 0;
      let size = Math.abs(constant);
      for (const edge of this.row(row)) {
        sum += edge;
        size += Math.abs(edge);
      }
      errors.push(share(Math.abs(sum + constant - expected), size));
    }
    return errors;
  }

  private row(row: number): Float32Array {
    return this.attribution.edges.subarray(row * this.n_nodes, (row + 1) * this.n_nodes);
  }

  private feature(node: number) {
    const { indices, values } = this.attribution.features;
    const active = this.attribution.selected[node]!;
    const [layer, position, feature] = indices.subarray(
      FEATURE_FIELDS * active,
      FEATURE_FIELDS * (active + 1),
    );
    return { layer: layer!, position: position!, feature: feature!, activation: values[active]! };
  }

  /** The value that a target has in a pass; of a feature, the pre-activation without its bias. */
  private async read(row: number, { activations }: Measured): Promise<number> {
    if (row >= this.n_selected) {
      const pre = await this.numbersOf(activations.get('unembed.hook_pre'));
      const vectors = await this.numbersOf(this.attribution.targets.vectors);
      const { d_model } = this.replacement.model.config;
      const start = pre.length - d_model; // of the last position
      return dot(pre, start, vectors.subarray((row - this.n_selected) * d_model), d_model);
    }
    const { layer, position } = this.feature(row);
    const input = await this.numbersOf(activations.get(this.replacement.inputHook(layer)));
    const { d_model } = this.replacement.model.config;
    const encoders = await this.encodersOf(layer);
    return dot(input, position * d_model, encoders.vectorOf(row), d_model);
  }

  /** Encoder vectors of all selected features of a layer, in one reading of the device: rows come layer by layer. */
  private async encodersOf(layer: number): Promise<EncoderVectors> {
    if (this.encoders?.layer === layer) return this.encoders;
    let first = 0;
    while (this.feature(first).layer < layer) first++;
    let stop = first;
    while (stop < this.n_selected && this.feature(stop).layer === layer) stop++;
    const features = Int32Array.from({ length: stop - first }, (_, i) => this.feature(first + i).feature);
    const rows = await this.replacement.transcoders.encoderRows(layer, features);
    const values = await rows.data<'float32'>();
    const d_model = rows.shape[1];
    rows.dispose();
    this.encoders = { layer, vectorOf: (row) => values.subarray((row - first) * d_model) };
    return this.encoders;
  }

  private numbersOf(tensor: Tensor): Promise<Float32Array> {
    const known = this.numbers.get(tensor) ?? tensor.data<'float32'>();
    this.numbers.set(tensor, known);
    return known;
  }

  private async writtenBy(source: number): Promise<Written> {
    const { n_layers, n_pos } = this.attribution.columns;
    const { d_model } = this.replacement.model.config;
    const at = (position: number, vector: ArrayLike<number>): Float32Array => {
      const values = new Float32Array(n_pos * d_model);
      values.set(vector, position * d_model);
      return values;
    };
    const mlpOut = new Map<number, Float32Array>();
    if (source < this.n_selected) {
      const { layer, position, feature, activation } = this.feature(source);
      const { transcoders } = this.replacement;
      for (let written = layer; written <= transcoders.lastLayerWritten(layer); written++) {
        const decoder = await transcoders.decoderRows(layer, Int32Array.of(feature), written);
        mlpOut.set(
          written,
          at(
            position,
            decoder.map((value) => value * activation),
          ),
        );
      }
      return { mlpOut };
    }
    const place = source - this.n_selected;
    const [layer, position] = [Math.floor(place / n_pos), place % n_pos];
    if (layer < n_layers) {
      return { mlpOut: mlpOut.set(layer, at(position, this.errors.at(layer, position))) };
    }
    const embeddings = await this.numbersOf(this.frozen.activations.get('hook_embed'));
    const own = embeddings.subarray(position * d_model, (position + 1) * d_model);
    return { embedding: at(position, own), mlpOut };
  }

  [Symbol.dispose](): void {
    // It is over when its measurement is, also when that has failed.
    void this.nothing?.then(
      (pass) => pass[Symbol.dispose](),
      () => undefined,
    );
    this.frozen[Symbol.dispose]();
  }
}

/** Encoder vectors of a layer. */
interface EncoderVectors {
  readonly layer: number;
  /** [d_model], and others behind it. */
  vectorOf(row: number): Float32Array;
}

/** A pass whose values are read. */
type Measured = Pick<FrozenModel, 'activations'>;

/**
 * Decoder biases, MLPs at positions that are left out (less their skip, which stays in the map), features left out; and on the
 * way the error vectors.
 */
async function writtenByNoNode(
  replacement: ReplacementModel,
  { tokens, features, columns, selected }: Attribution,
  { activations }: Measured,
  signal: AbortSignal | undefined,
): Promise<{ errors: ErrorVectors; constants: Written }> {
  const { transcoders, model } = replacement;
  const { d_model } = model.config;
  const { n_layers, n_pos } = columns;
  const isLeftOut = new Uint8Array(columns.n_columns).fill(1, 0, columns.n_features);
  for (const active of selected) isLeftOut[active] = 0;
  const firstPosition = replacement.ignoredPositions(tokens);
  const pass: SourcePass = { n_pos, features, firstPosition, activations };
  // Each is used once, so none is kept.
  using sources = new Sources(replacement, pass, columns, new MemoryBudget(0));
  const mlpOut = new Map<number, Float32Array>();
  for (let layer = 0; layer < n_layers; layer++) {
    signal?.throwIfAborted();
    const b_dec = (await transcoders.decoderBias(layer)) ?? new Float32Array(d_model);
    const values = new Float32Array(n_pos * d_model);
    for await (const { firstPosition: start, at } of sources.blocks(layer, 0, n_pos)) {
      const first = Math.max(start, firstPosition);
      if (first >= start + at.length) continue;
      const sums = tf.tidy(() =>
        tf.concat(
          at.slice(first - start).map(({ vectors, columns: own }) => {
            const mask = Float32Array.from(own, (column) => isLeftOut[column]!);
            const sum = tf.matMul<Tensor2D>(tf.tensor2d(mask, [1, own.length]), vectors);
            return tf.add<Tensor2D>(sum, tf.tensor2d(b_dec, [1, d_model]));
          }),
        ),
      );
      values.set(await sums.data<'float32'>(), first * d_model);
      sums.dispose();
    }
    if (firstPosition > 0) {
      const skip = await transcoders.skip(layer, activations.get<Tensor2D>(replacement.inputHook(layer)));
      const own = tf.tidy(() => {
        const head = (x: Tensor2D): Tensor2D => tf.slice(x, [0, 0], [firstPosition, d_model]);
        const whole = head(activations.get<Tensor2D>(replacement.outputHook(layer)));
        return skip ? tf.sub<Tensor2D>(whole, head(skip)) : whole;
      });
      skip?.dispose();
      values.set(await own.data<'float32'>());
      own.dispose();
    }
    mlpOut.set(layer, values);
  }
  return { errors: sources.errors, constants: { mlpOut } };
}

function dot(a: Float32Array, from: number, b: Float32Array, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[from + i]! * b[i]!;
  return sum;
}

/** A part of a whole; what is exactly zero is no error even where the whole is nothing. */
export function share(part: number, whole: number): number {
  return part === 0 ? 0 : part / whole;
}
