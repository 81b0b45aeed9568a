/** Trainer: what a model's MLPs read and write at the tokens of rows, up to the highest layer that is wanted. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { HookPoints } from '../model/activation-cache.ts';
import { blockHook, type BlockSite, type OutputSite } from '../model/hooks.ts';
import type { Transformer } from '../model/transformer.ts';
import { batchOf, embedBatch, heldContext } from '../training/batch.ts';

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

/** Throws the reason of the signal. */
export async function activationsOf(
  rows: readonly (readonly number[])[],
  options: ActivationOptions,
): Promise<Block> {
  const { layers, model } = options;
  const d_model = model.config.d_model;
  const groups = grouped(rows);
  const found: PassValues[] = [];
  for (const group of groups) {
    await yieldToEventLoop();
    options.signal?.throwIfAborted();
    found.push(await onePass(group, options));
  }
  const n = found.reduce((sum, { n }) => sum + n, 0);
  const joined = (of: (pass: PassValues) => Float32Array): Float32Array => {
    if (found.length === 1) return of(found[0]!);
    const all = new Float32Array(n * d_model);
    let at = 0;
    for (const pass of found) {
      all.set(of(pass), at);
      at += pass.n * d_model;
    }
    return all;
  };
  return {
    n,
    layers: new Map(
      layers.map((layer) => [
        layer,
        { x: joined(({ values }) => values.get(layer)!.x), y: joined(({ values }) => values.get(layer)!.y) },
      ]),
    ),
  };
}

interface PassValues {
  readonly n: number;
  readonly values: ReadonlyMap<number, LayerValues>;
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

async function onePass(
  rows: readonly (readonly number[])[],
  { model, layers, feature_input_hook, feature_output_hook, n_ignored, specialIds }: ActivationOptions,
): Promise<PassValues> {
  const batch = batchOf(rows, n_ignored);
  const places = batch.inner.filter((place) => !specialIds.has(batch.tokens[place]!));
  const values = new Map<number, LayerValues>();
  if (places.length === 0) return { n: 0, values: new Map(layers.map((layer) => [layer, NOTHING])) };
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
      values.set(layer, { x: await x!.data<'float32'>(), y: await y!.data<'float32'>() });
      tf.dispose([x!, y!]);
      kept.clear();
    }
    return { n: places.length, values };
  } finally {
    residual?.dispose();
    tf.dispose([...kept.values()]);
    at.dispose();
  }
}

const NOTHING: LayerValues = { x: new Float32Array(0), y: new Float32Array(0) };
