/** Attribution, step 1 of 4: what a prompt's edges are made of: active features, and the vectors that sources write. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { letEventsIn } from '../backend/event-loop.ts';
import { blockHook, type HookName } from '../model/hooks.ts';
import type { ForwardResult } from '../model/transformer.ts';
import type { ActiveFeatures, ReplacementModel } from '../replacement/replacement-model.ts';

/** Sources that write into one layer at one position, and the columns of the edges that they have. */
export interface Writers {
  /** [columns.length, d_model]: activation × decoder row of each feature, then the error vector. */
  readonly vectors: Tensor2D;
  readonly columns: Int32Array;
}

/** Columns before any feature is left out: [active features][errors: layer-major, then position][tokens]. */
export interface ColumnLayout {
  readonly n_active: number;
  readonly n_layers: number;
  readonly n_pos: number;
  readonly n_columns: number;
}

/** All that is computed once for a prompt. Dispose it, or take it with `using`. */
export interface Components extends Disposable {
  readonly tokens: readonly number[];
  readonly features: ActiveFeatures;
  readonly layout: ColumnLayout;
  /** [layer][position] */
  readonly writers: readonly (readonly Writers[])[];
  /** Embeddings as they enter the residual stream, [pos, d_model]. */
  readonly tokenVectors: Tensor2D;
  /** [n_layers][pos · d_model]: what the MLP wrote minus what features, bias and skip explain. */
  readonly errorVectors: readonly Float32Array[];
  /** The pass that was frozen. */
  readonly forward: ForwardResult;
}

export function columnOfError(layout: ColumnLayout, layer: number, position: number): number {
  return layout.n_active + layer * layout.n_pos + position;
}

export function columnOfToken(layout: ColumnLayout, position: number): number {
  return layout.n_active + layout.n_layers * layout.n_pos + position;
}

/** Hooks that attribution needs besides the feature inputs. */
function isNeeded(name: HookName): boolean {
  return (
    name === 'hook_embed' ||
    name === 'unembed.hook_pre' ||
    /\.hook_scale$|\.hook_pattern$|\.hook_mlp_out$/.test(name)
  );
}

/**
 * Runs a prompt and prepares its sources. Features and errors of positions before `ignoredPositions` are left out, as the
 * reference does for the beginning of the sequence. Throws what `forward` throws.
 */
export async function prepareComponents(
  replacement: ReplacementModel,
  tokens: readonly number[],
  ignoredPositions: number,
  signal?: AbortSignal,
): Promise<Components> {
  const { forward, features } = await replacement.run(tokens, {
    capture: isNeeded,
    logits: 'last',
    firstPosition: ignoredPositions,
    ...(signal && { signal }),
  });
  const writers: Writers[][] = [];
  const dispose = (): void => {
    for (const { vectors } of writers.flat()) vectors.dispose();
    forward[Symbol.dispose]();
  };
  try {
    const { n_layers } = replacement.model.config;
    const n_pos = tokens.length;
    const n_active = features.values.length;
    const layout = { n_active, n_layers, n_pos, n_columns: n_active + n_layers * n_pos + n_pos };
    const errorVectors: Float32Array[] = [];
    for (let layer = 0; layer < n_layers; layer++) {
      await letEventsIn();
      signal?.throwIfAborted();
      const written = await writtenInto(replacement, layer, forward, features, layout, ignoredPositions);
      writers.push(written.writers);
      errorVectors.push(written.errors);
    }
    const tokenVectors = forward.activations.get<Tensor2D>('hook_embed');
    return {
      tokens,
      features,
      layout,
      writers,
      tokenVectors,
      errorVectors,
      forward,
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Indices [start, stop) of active features by their layer. */
export function featuresOfLayer(
  { indices, values }: ActiveFeatures,
  layer: number,
): { start: number; stop: number } {
  let start = 0;
  while (start < values.length && indices[3 * start]! < layer) start++;
  let stop = start;
  while (stop < values.length && indices[3 * stop] === layer) stop++;
  return { start, stop };
}

/** Everything that writes into the MLP output of one layer. */
async function writtenInto(
  replacement: ReplacementModel,
  layer: number,
  forward: ForwardResult,
  features: ActiveFeatures,
  layout: ColumnLayout,
  ignoredPositions: number,
): Promise<{ writers: Writers[]; errors: Float32Array }> {
  const { transcoders, model } = replacement;
  const { d_model } = model.config;
  const { n_pos } = layout;
  const reconstruction = await biasAndSkip(replacement, layer, forward); // grows by every feature below
  const columns: number[][] = Array.from({ length: n_pos }, () => []);
  const rows: Float32Array[][] = Array.from({ length: n_pos }, () => []);
  for (let source = 0; source <= layer; source++) {
    if (transcoders.lastLayerWritten(source) < layer) continue;
    const { start, stop } = featuresOfLayer(features, source);
    const ids = Int32Array.from({ length: stop - start }, (_, i) => features.indices[3 * (start + i) + 2]!);
    const decoder = await transcoders.decoderRows(source, ids, layer);
    for (let i = start; i < stop; i++) {
      const position = features.indices[3 * i + 1]!;
      const activation = features.values[i]!;
      const row = decoder.subarray((i - start) * d_model, (i - start + 1) * d_model);
      const sum = reconstruction.subarray(position * d_model, (position + 1) * d_model);
      for (let j = 0; j < d_model; j++) {
        row[j]! *= activation;
        sum[j]! += row[j]!;
      }
      columns[position]!.push(i);
      rows[position]!.push(row);
    }
  }
  const mlpOut = await forward.activations.get(blockHook(layer, 'hook_mlp_out')).data<'float32'>();
  const errors = Float32Array.from(mlpOut, (value, i) => value - reconstruction[i]!);
  errors.fill(0, 0, ignoredPositions * d_model);
  const writers = columns.map((own, position): Writers => {
    const all = [...rows[position]!, errors.subarray(position * d_model, (position + 1) * d_model)];
    const values = new Float32Array(all.length * d_model);
    all.forEach((row, i) => values.set(row, i * d_model));
    return {
      vectors: tf.tensor2d(values, [all.length, d_model]),
      columns: Int32Array.from([...own, columnOfError(layout, layer, position)]),
    };
  });
  return { writers, errors };
}

/** What a transcoder writes without any feature, in double precision so that a long sum of features stays exact. */
async function biasAndSkip(
  replacement: ReplacementModel,
  layer: number,
  forward: ForwardResult,
): Promise<Float64Array> {
  const { transcoders } = replacement;
  const input = forward.activations.get<Tensor2D>(replacement.inputHook(layer));
  const b_dec = await transcoders.layers[layer]!.b_dec.data<'float32'>();
  const [n_pos, d_model] = input.shape;
  const sum = Float64Array.from({ length: n_pos * d_model }, (_, i) => b_dec[i % d_model]!);
  const skip = await transcoders.skip(layer, input);
  if (!skip) return sum;
  const values = await skip.data<'float32'>();
  skip.dispose();
  return sum.map((value, i) => value + values[i]!);
}
