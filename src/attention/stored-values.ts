/** Attention: what heads get of sources, by layer, kept while targets are walked past them. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D, Tensor3D } from '../backend/backend.ts';
import type { AttentionMap } from '../attribution/attention-map.ts';
import { walkForth, type HeadRows } from './forward.ts';
import { forwardBatches, type ForwardBatch } from './forward-batch.ts';
import { RowLayout } from './row-layout.ts';
import type { TracedPrompt } from './traced-prompt.ts';
import type { Writes } from './writes.ts';

/** At one layer, of the sources that have begun, in the order of `layout`. Dispose it after use. */
export interface LayerValues extends Disposable {
  readonly layout: RowLayout;
  /** What heads take at a query, of the first sources, those that reach it: [n_heads, n, d_head]. Positions that are not kept are missing. */
  readonly taken: ReadonlyMap<number, Tensor3D>;
  /** With all attention cut, without the divisor of ln1, [n_sources, n_kv_heads · d_head]; null of the whole pass. */
  readonly own: Tensor2D | null;
  /** By key, without the divisor of ln1, [n_rows, n_kv_heads · d_head]; null unless asked for. */
  readonly values: Tensor2D | null;
}

/** What sources of one position write, as it arrives at hook_resid_post of a layer or at the embedding. */
export interface StoredWrites {
  /** [n, d_model] */
  readonly vectors: Tensor2D;
  /** Sources of the rows. */
  readonly sources: Int32Array;
}

export interface StoredOptions {
  /** Queries at which what heads take is kept. */
  readonly queries: readonly number[];
  readonly withValues: boolean;
  /** Keeps what is written in the last layer too, which only logits read. */
  readonly withLastWrites: boolean;
  /** Of sources that are walked together; default as `forwardBatches`. */
  readonly batchBytes?: number | undefined;
}

/** Of sources that were walked together. Dispose it after use. */
export class StoredValues implements Disposable {
  readonly batch: ForwardBatch;
  private readonly layers = new Map<number, LayerValues>();
  private readonly writes = new Map<number, StoredWrites>();

  private constructor(batch: ForwardBatch) {
    this.batch = batch;
  }

  static async of(prompt: TracedPrompt, batch: ForwardBatch, options: StoredOptions): Promise<StoredValues> {
    const { n_layers, n_heads } = prompt.replacement.model.config;
    const store = new StoredValues(batch);
    try {
      await walkForth(
        prompt,
        batch,
        { stop: n_layers - 1, withOwn: true, withLastWrites: options.withLastWrites },
        {
          written(layer, wrote) {
            const kept = keptWrites(wrote);
            if (kept) store.writes.set(layer, kept);
            return Promise.resolve();
          },
          heads(layer, rows) {
            store.layers.set(layer, keptValues(rows, n_heads, options));
            return Promise.resolve();
          },
        },
      );
    } catch (error) {
      store[Symbol.dispose]();
      throw error;
    }
    return store;
  }

  /** Undefined where no source has begun. */
  at(layer: number): LayerValues | undefined {
    return this.layers.get(layer);
  }

  /** @param layer -1: the embedding. Undefined where no source writes. */
  writesAt(layer: number): StoredWrites | undefined {
    return this.writes.get(layer);
  }

  [Symbol.dispose](): void {
    for (const values of this.layers.values()) values[Symbol.dispose]();
    for (const { vectors } of this.writes.values()) vectors.dispose();
  }
}

/** Of sources that have a position. Dispose each after use. */
export async function* storedValues(
  prompt: TracedPrompt,
  sources: Int32Array,
  options: StoredOptions,
): AsyncGenerator<StoredValues, void, undefined> {
  const { list, n_pos, replacement } = prompt;
  const { d_model } = replacement.model.config;
  for (const batch of forwardBatches(list, sources, n_pos, d_model, options.batchBytes))
    yield await StoredValues.of(prompt, batch, options);
}

function keptWrites({ fresh, beginners, again, writers }: Writes): StoredWrites | undefined {
  const sources = Int32Array.from([...beginners, ...writers]);
  if (sources.length === 0) return undefined;
  const vectors = tf.tidy(() => {
    const [n, first] = [beginners.length, (fresh?.shape[0] ?? 0) - beginners.length];
    const begin = n > 0 ? [tf.slice<tf.Rank.R2, Tensor2D>(fresh!, [first, 0], [n, -1])] : [];
    return tf.concat<Tensor2D>([...begin, ...(again ? [again] : [])]);
  });
  return { vectors, sources };
}

function keptValues(
  { layout, values, mixed, own }: HeadRows,
  n_heads: number,
  { queries, withValues }: StoredOptions,
): LayerValues {
  const taken = new Map<number, Tensor3D>();
  for (const query of queries) {
    const rows = layout.rowsAt(query);
    if (rows.length === 0) continue;
    const at = tf.tidy(() => {
      const these = tf.gather(mixed, tf.tensor1d(rows, 'int32'));
      return tf.transpose(tf.reshape<tf.Rank.R3>(these, [rows.length, n_heads, -1]), [1, 0, 2]);
    });
    taken.set(query, at);
  }
  return layerValues(layout, taken, own && own.clone(), withValues ? values.clone() : null);
}

/** Takes over all tensors. */
function layerValues(
  layout: RowLayout,
  taken: ReadonlyMap<number, Tensor3D>,
  own: Tensor2D | null,
  values: Tensor2D | null,
): LayerValues {
  return {
    layout,
    taken,
    own,
    values,
    [Symbol.dispose]: () => [...taken.values(), own, values].forEach((tensor) => tensor?.dispose()),
  };
}

/** The whole pass, constants included, as if it were one source that is everywhere. Dispose it after use. */
export function passValues(prompt: TracedPrompt, layer: number, attention: AttentionMap): LayerValues {
  const { foldedValueBias, norms } = prompt.replacement.model.weights.blocks[layer]!;
  const v = prompt.at<Tensor3D>(layer, 'attn.hook_v');
  const [n_pos, n_kv_heads, d_head] = v.shape;
  const { n_heads } = attention;
  const values = tf.tidy(() => {
    const flat = tf.reshape<tf.Rank.R2>(v, [n_pos, n_kv_heads * d_head]);
    const whole = foldedValueBias ? tf.add<Tensor2D>(flat, foldedValueBias) : flat;
    // The map divides by the divisor of ln1, which these have been divided by.
    const divisors: Tensor1D | null = norms.ln1 ? prompt.at(layer, 'ln1.hook_scale') : null;
    return divisors ? tf.mul<Tensor2D>(whole, tf.reshape(divisors, [n_pos, 1])) : whole.clone();
  });
  const byQuery = tf.tidy(() => {
    const mixed = attention.mixed(tf.reshape<tf.Rank.R3>(values, [1, n_pos, -1]));
    return tf.unstack(tf.reshape<tf.Rank.R4>(mixed, [n_pos, n_heads, 1, d_head])) as Tensor3D[];
  });
  return layerValues(wholePass(n_pos), new Map(byQuery.entries()), null, values);
}

function wholePass(n_pos: number): RowLayout {
  const sources = Int32Array.of(-1);
  const group = { sources, firstLayers: sources, firstPosition: 0, n_places: n_pos, isSpread: true };
  return new RowLayout({ groups: [group] }, 0);
}
