/** Attribution: the walk of gradients back through the linear model, layer by layer; a visitor sees what they are on the way. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D, Tensor3D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import type { AttentionMap } from './attention-map.ts';
import type { LinearModel } from './linear-model.ts';

export interface Walk {
  readonly linear: LinearModel;
  /** Positions that the rows can reach. */
  readonly n_pos: number;
  /** Looked at between two layers: a batch of a large model takes many seconds. */
  readonly signal?: AbortSignal | undefined;
}

/** Gradients of rows that start at hook_resid_mid of a layer, in a parallel block at hook_resid_pre, each at one position. */
export interface RowStart {
  readonly layer: number;
  readonly positions: Int32Array;
  /** [n, d_model] */
  readonly g: Tensor2D;
  /** Whether they go back through the attention of the layer too: what features of a parallel block read is before it. */
  readonly passesAttention: boolean;
  /** In a parallel block, what goes back through the skip of the layer, [n, d_model]. */
  readonly beside?: Tensor2D;
}

/** Gradients of rows at hook_resid_post of a layer, [n_pos, n, d_model]; at the embedding with layer -1. */
export interface RowsAtPost {
  readonly layer: number;
  readonly g: Tensor3D;
}

/** What `AttentionMap.queries` gives of the rows at hook_attn_out of a layer. */
export interface WalkQueries {
  /** Of the rows under way, [n_pos, n, n_heads · d_head]. */
  readonly underWay: Tensor3D | undefined;
  /** Of rows that start there and pass the attention, each at its position, [m, n_heads · d_head]. */
  readonly started: Tensor2D | undefined;
  /** All rows that start there. */
  readonly start: RowStart | undefined;
}

/** Gradients that it is given stay the walk's. Rows are in the order in which they started. */
export interface WalkVisitor {
  /** [n_pos, n, d_model] at what features of the layer write, of the rows under way. */
  output(layer: number, g: Tensor3D): Promise<void>;
  /**
   * At hook_attn_out of the layer: [n_pos, n, d_model] of the rows under way, and those that start at the layer. `true` ends the walk:
   * what is below was dealt with.
   */
  attention?(layer: number, g: Tensor3D | undefined, start: RowStart | undefined): Promise<boolean>;
  /** Gradients at what heads of the layer take, after `attention`. `true` ends the walk. */
  heads?(layer: number, attention: AttentionMap, queries: WalkQueries): Promise<boolean>;
  /** [n_pos, n, d_model] at the embedding. */
  embedding(g: Tensor3D): Promise<void>;
}

/**
 * Takes all rows back to the embedding. `starts` are ordered from the highest layer down; they and `from` are disposed. A row costs
 * nothing above its own layer, one query position in it, and no position beyond `n_pos` anywhere.
 */
export async function walkBack(
  { linear, n_pos, signal }: Walk,
  starts: readonly RowStart[],
  visitor: WalkVisitor,
  from?: RowsAtPost,
): Promise<void> {
  let g: Tensor3D | undefined = from?.g; // at hook_resid_post of `layer`, [n_pos, rows so far, d_model]
  let skipped: Tensor3D | undefined; // of a parallel block, what goes back through its skip
  const pending = [...starts];
  try {
    for (let layer = from?.layer ?? pending[0]?.layer ?? -1; layer >= 0; layer--) {
      await yieldToEventLoop();
      signal?.throwIfAborted();
      const starting = pending[0]?.layer === layer ? pending[0] : undefined;
      if (g) {
        const output = linear.toFeatureOutput(layer, g);
        try {
          await visitor.output(layer, output);
          using skip = await linear.skip(layer);
          if (skip && linear.isParallel) skipped = skip.back(output);
          else if (skip) g = replace(g, (at) => tf.add(at, skip.back(output)));
        } finally {
          output.dispose();
        }
      }
      if (await visitor.attention?.(layer, g, starting)) return;
      using attention = await linear.attention(layer);
      const underWay = g && attention.queriesAt(g);
      const started = starting?.passesAttention ? attention.queries(starting.g) : undefined;
      try {
        if (await visitor.heads?.(layer, attention, { underWay, started, start: starting })) return;
        if (g) {
          const beside = skipped;
          g = replace(g, (at) => tf.addN([at, attention.backFrom(underWay!), ...(beside ? [beside] : [])]));
          skipped = dispose(skipped);
        }
        if (starting) {
          const moved = belowAttention(starting, attention, n_pos, started);
          g = g ? joined(g, moved) : moved;
          disposeStart(pending.shift()!);
        }
      } finally {
        underWay?.dispose();
        started?.dispose();
      }
    }
    if (g) await visitor.embedding(g);
  } finally {
    g?.dispose();
    skipped?.dispose();
    for (const unused of pending) disposeStart(unused);
  }
}

/**
 * Rows g [n, d_model] at hook_resid_post of a layer, all at one position, as a start of a walk: back through the skip of the layer.
 * Disposes g. @param visit of what they are at the feature output of the layer, [n, d_model]
 */
export async function startBelowPost(
  linear: LinearModel,
  layer: number,
  position: number,
  g: Tensor2D,
  visit: (output: Tensor2D) => Promise<void>,
): Promise<RowStart> {
  let beside: Tensor2D | undefined;
  try {
    const output = linear.toFeatureOutputAt(layer, position, g);
    try {
      await visit(output);
      using skip = await linear.skip(layer);
      if (skip && linear.isParallel) beside = skip.backAt(position, output);
      else if (skip) g = replace(g, (at) => tf.add(at, skip.backAt(position, output)));
    } finally {
      output.dispose();
    }
  } catch (error) {
    g.dispose();
    throw error;
  }
  const positions = new Int32Array(g.shape[0]).fill(position);
  return { layer, positions, g, passesAttention: true, ...(beside && { beside }) };
}

/** What a start is at hook_resid_pre of its layer, [n_pos, n, d_model]. */
function belowAttention(
  { positions, g, beside }: RowStart,
  attention: AttentionMap,
  n_pos: number,
  queries: Tensor2D | undefined,
): Tensor3D {
  return tf.tidy(() => {
    const own = atPositions(positions, n_pos, beside ? tf.add<Tensor2D>(g, beside) : g);
    return queries ? tf.add<Tensor3D>(attention.backFromAt(positions, n_pos, queries), own) : own;
  });
}

export function disposeStart({ g, beside }: RowStart): void {
  g.dispose();
  beside?.dispose();
}

function dispose(tensor: Tensor3D | undefined): undefined {
  tensor?.dispose();
}

/** g [n, d_model] put at its positions among zeros, [n_pos, n, d_model]. */
export function atPositions(positions: Int32Array, n_pos: number, g: Tensor2D): Tensor3D {
  const place = new Float32Array(n_pos * positions.length);
  positions.forEach((position, i) => (place[position * positions.length + i] = 1));
  return tf.tidy(() =>
    tf.mul<Tensor3D>(tf.tensor3d(place, [n_pos, positions.length, 1]), tf.expandDims(g, 0)),
  );
}

/** Rows of both, the first ones first; disposes its inputs. */
function joined(first: Tensor3D, second: Tensor3D): Tensor3D {
  try {
    return tf.concat([first, second], 1);
  } finally {
    first.dispose();
    second.dispose();
  }
}

/** What a step makes of g, in a tidy of its own; disposes g. */
function replace<T extends Tensor2D | Tensor3D>(g: T, step: (g: T) => T): T {
  try {
    return tf.tidy(() => step(g));
  } finally {
    g.dispose();
  }
}
