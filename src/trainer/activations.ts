/** Trainer: what a model's MLPs read and write at the tokens of rows, up to the highest layer that is wanted. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { HookPoints } from '../model/activation-cache.ts';
import { blockHook, type BlockSite, type OutputSite } from '../model/hooks.ts';
import type { Transformer } from '../model/transformer.ts';
import { batchOf, embedBatch, heldContext, type Batch } from '../training/batch.ts';

/** Inputs and outputs of layers at the same n tokens. */
export interface Block {
  readonly n: number;
  /** [n · d_model] each, by layer. */
  readonly layers: ReadonlyMap<number, LayerValues>;
}

export interface LayerValues {
  readonly x: Float32Array;
  readonly y: Float32Array;
}

/**
 * Arrays that blocks are put in one after the other: garbage of hundreds of megabytes is collected late, so that blocks made anew would
 * be in memory several times.
 */
export class BlockMemory {
  readonly #mostNumbers: number;
  readonly #arrays = new Map<number, LayerValues>();

  /** @param mostNumbers of an input or output of the longest block; a longer one gets arrays of its own */
  constructor(mostNumbers: number) {
    this.#mostNumbers = mostNumbers;
  }

  /** For so many numbers a layer, whatever they are so far. What it gave before is given again. */
  take(layers: readonly number[], length: number): ReadonlyMap<number, LayerValues> {
    return new Map(
      layers.map((layer) => {
        let own = this.#arrays.get(layer);
        if (!own || own.x.length < length) {
          const size = Math.max(length, this.#mostNumbers);
          own = { x: new Float32Array(size), y: new Float32Array(size) };
          this.#arrays.set(layer, own);
        }
        return [layer, { x: own.x.subarray(0, length), y: own.y.subarray(0, length) }];
      }),
    );
  }
}

export interface ActivationOptions {
  /** Loaded up to the highest of `layers`, or further. */
  readonly model: Transformer;
  readonly layers: readonly number[];
  readonly feature_input_hook: BlockSite;
  readonly feature_output_hook: OutputSite;
  /** Leading tokens of a row that are left out, and ids that are. */
  readonly n_ignored: number;
  readonly specialIds: ReadonlySet<number>;
  readonly signal?: AbortSignal | undefined;
}

/** Positions that go through the model together, padding included; more only where one row has more. */
const PASS_POSITIONS = 2048;

/** Throws the reason of the signal. @param memory of the block; what it held before is lost */
export async function activationsOf(
  rows: readonly (readonly number[])[],
  options: ActivationOptions,
  memory: BlockMemory,
): Promise<Block> {
  const { layers, model, n_ignored, specialIds, signal } = options;
  const { d_model } = model.config;
  const passes = grouped(rows).map((group): Pass => {
    const batch = batchOf(group, n_ignored);
    return { batch, places: batch.inner.filter((place) => !specialIds.has(batch.tokens[place]!)) };
  });
  const n = passes.reduce((sum, { places }) => sum + places.length, 0);
  const values = memory.take(layers, n * d_model);
  let at = 0;
  for (const pass of passes) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    if (pass.places.length > 0) await runPass(pass, values, at * d_model, options);
    at += pass.places.length;
  }
  return { n, layers: values };
}

/** Rows that go through the model together, and the tokens of theirs that are wanted. */
interface Pass {
  readonly batch: Batch;
  readonly places: Int32Array;
}

function grouped(rows: readonly (readonly number[])[]): (readonly number[])[][] {
  const groups: (readonly number[])[][] = [];
  let group: (readonly number[])[] = [];
  let longest = 0;
  for (const row of rows) {
    const wider = Math.max(longest, row.length);
    if (group.length > 0 && wider * (group.length + 1) > PASS_POSITIONS) {
      groups.push(group);
      group = [];
      longest = 0;
    }
    group.push(row);
    longest = Math.max(longest, row.length);
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

/** Writes inputs and outputs behind the first `offset` numbers of each array. */
async function runPass(
  { batch, places }: Pass,
  values: ReadonlyMap<number, LayerValues>,
  offset: number,
  { model, layers, feature_input_hook, feature_output_hook }: ActivationOptions,
): Promise<void> {
  const at = tf.tensor1d(places, 'int32');
  const kept = new Map<string, Tensor2D>();
  const names = new Set(
    layers.flatMap((layer) => [blockHook(layer, feature_input_hook), blockHook(layer, feature_output_hook)]),
  );
  const hooks: HookPoints = {
    at(name, value) {
      if (names.has(name)) {
        kept.set(name, tf.keep(tf.gather(value as tf.Tensor as Tensor2D, at)));
      }
      return value;
    },
  };
  let residual: Tensor2D | undefined;
  try {
    using context = heldContext(model.config, batch, hooks);
    residual = await embedBatch(model, batch);
    const top = layers.at(-1)!;
    for (let layer = 0; layer <= top; layer++) {
      residual = await model.runLayer(residual, layer, context);
      if (!layers.includes(layer)) continue;
      const [x, y] = [feature_input_hook, feature_output_hook].map((site) =>
        kept.get(blockHook(layer, site))!,
      );
      values.get(layer)!.x.set(await x!.data<'float32'>(), offset);
      values.get(layer)!.y.set(await y!.data<'float32'>(), offset);
      tf.dispose([x!, y!]);
      kept.clear();
    }
  } finally {
    residual?.dispose();
    tf.dispose([...kept.values()]);
    at.dispose();
  }
}

/** Activations of rows, those of a pass at a time: a block holds until the next is asked for. */
export async function* activationsInTurn(
  rows: readonly (readonly number[])[],
  options: ActivationOptions,
): AsyncGenerator<Block, void, undefined> {
  const groups = grouped(rows);
  const longest = groups.reduce((most, group) => Math.max(most, group.flat().length), 0);
  const memory = new BlockMemory(longest * options.model.config.d_model);
  for (const group of groups) yield await activationsOf(group, options, memory);
}
