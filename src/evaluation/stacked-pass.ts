/**
 * Evaluation: several residual streams of one batch, layer by layer. A layer's weights are acquired once for all of them, and as
 * many streams as fit lie one after the other in one tensor.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor, Tensor2D } from '../backend/backend.ts';
import { yieldToEventLoop } from '../backend/event-loop.ts';
import { unreachable } from '../errors.ts';
import { ActivationCache, hookPoints } from '../model/activation-cache.ts';
import type { PassContext } from '../model/attention.ts';
import { mlpHalf } from '../model/block.ts';
import { matricesOf } from '../model/block-spec.ts';
import { blockHook } from '../model/hooks.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import { embedBatch, heldContext, type Batch } from '../training/batch.ts';
import { NO_HOOKS } from '../training/pass.ts';
import { OwnedTensors } from './owned-tensors.ts';

/** Positions that go through a layer together, more only where one stream has more. */
const STACK_POSITIONS = 2048;
/** The same for numbers of attention scores: 64 MiB. */
const STACK_SCORES = 16 * 2 ** 20;

/** What the replacement of a layer's MLP in one stream needs, [positions, d_model] each. */
export interface LayerValues {
  /** Feature inputs. */
  readonly input: Tensor2D;
  /** What the MLP writes, at the feature output. */
  readonly output: Tensor2D;
  /** The residual stream without what the MLP writes. */
  readonly base: Tensor2D;
}

export interface LayerStep {
  /** The streams after the layer. */
  readonly after: Tensor2D[];
  /** Of the first streams, as many as were asked for. */
  readonly observed: LayerValues[];
}

/** Dispose it, or take it with `using`. */
export class StackedPass implements Disposable {
  readonly replacement: ReplacementModel;
  readonly batch: Batch;
  readonly signal: AbortSignal | undefined;
  private readonly mostStreams: number;
  private readonly contexts = new Map<number, PassContext & Disposable>(); // by number of streams

  constructor(replacement: ReplacementModel, batch: Batch, signal?: AbortSignal) {
    this.replacement = replacement;
    this.batch = batch;
    this.signal = signal;
    const { n_rows, length } = batch;
    const scores = n_rows * replacement.model.config.n_heads * length * length;
    const n = Math.min(STACK_POSITIONS / (n_rows * length), STACK_SCORES / scores);
    this.mostStreams = Math.max(1, Math.floor(n));
  }

  /** The residual stream before the first layer, [n_rows · length, d_model]. Belongs to the caller. */
  embed(): Promise<Tensor2D> {
    return embedBatch(this.replacement.model, this.batch);
  }

  /**
   * Runs streams through a layer; the values of the first `n_observed` are given back. The streams stay the caller's, and the result
   * belongs to the caller. Throws the reason of the signal.
   */
  async run(layer: number, streams: readonly Tensor2D[], n_observed: number): Promise<LayerStep> {
    const { model } = this.replacement;
    const stored = model.weights.blocks[layer]!;
    const made = new OwnedTensors();
    const loans: HeldWeight[] = [];
    try {
      for (const name of matricesOf(model.config.block)) loans.push(await stored.matrices[name]!.acquire());
      const after: Tensor2D[] = [];
      const observed: LayerValues[] = [];
      for (let start = 0; start < streams.length; start += this.mostStreams) {
        await yieldToEventLoop();
        this.signal?.throwIfAborted();
        const chunk = streams.slice(start, start + this.mostStreams);
        const n = Math.min(chunk.length, Math.max(0, n_observed - start));
        const step = await this.runChunk(layer, chunk, n, made);
        for (const tensor of step.after) after.push(tensor);
        for (const values of step.observed) observed.push(values);
      }
      return { after, observed };
    } catch (error) {
      made[Symbol.dispose]();
      throw error;
    } finally {
      for (const loan of loans) loan[Symbol.dispose]();
    }
  }

  private async runChunk(
    layer: number,
    streams: readonly Tensor2D[],
    n_observed: number,
    made: OwnedTensors,
  ): Promise<LayerStep> {
    const { replacement } = this;
    const [input, output] = [replacement.inputHook(layer), replacement.outputHook(layer)];
    const [before, attended] = [blockHook(layer, 'hook_resid_pre'), blockHook(layer, 'hook_attn_out')];
    const names = new Set(n_observed > 0 ? [input, output, before, attended] : []);
    using captured = new ActivationCache();
    const hooks = hookPoints({ capture: (name) => names.has(name) }, captured);
    const context = { ...this.contextOf(streams.length), hooks };
    const stack: Tensor2D = streams.length === 1 ? streams[0]!.clone() : tf.concat([...streams], 0);
    using result = new OwnedTensors();
    const all = result.own(await replacement.model.runLayer(stack, layer, context));
    const part = (values: Tensor2D, i: number): Tensor2D => {
      const n = streams[0]!.shape[0];
      return tf.slice<tf.Rank.R2, Tensor2D>(values, [i * n, 0], [n, values.shape[1]]);
    };
    const own = <T extends Tensor>(tensor: T): T => made.own(tensor);
    return {
      after: streams.map((_, i) => own(part(all, i))),
      observed: Array.from({ length: n_observed }, (_, i) => ({
        input: own(part(captured.get(input), i)),
        output: own(part(captured.get(output), i)),
        // The additions of a block in the same order, so that an output that is put back gives the same digits.
        base: own(tf.tidy(() => part(tf.add(captured.get<Tensor2D>(before), captured.get(attended)), i))),
      })),
    };
  }

  /**
   * The residual stream after a layer in which `written` stands at the feature output. Called inside a tidy.
   * @param base the stream without what the MLP writes
   */
  withOutput(layer: number, base: Tensor2D, written: Tensor2D): Tensor2D {
    const { model, transcoders } = this.replacement;
    const site = transcoders.config.feature_output_hook;
    switch (site) {
      case 'hook_mlp_out':
        return tf.add(base, written);
      case 'mlp.hook_out': // a norm may follow
        return mlpHalf(base, written, model.weights.blocks[layer]!, layer, this.contextOf(1));
      default:
        return unreachable(site);
    }
  }

  /** Masks and angles are the same for all layers. */
  private contextOf(n_streams: number): PassContext {
    const known = this.contexts.get(n_streams);
    if (known) return known;
    const { batch } = this;
    const sequences = { ...batch, n_rows: n_streams * batch.n_rows };
    const context = heldContext(this.replacement.model.config, sequences, NO_HOOKS);
    this.contexts.set(n_streams, context);
    return context;
  }

  [Symbol.dispose](): void {
    for (const context of this.contexts.values()) context[Symbol.dispose]();
  }
}
