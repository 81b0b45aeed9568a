/** Attribution, checked: the model with everything frozen that attribution holds fixed, run forwards through its own hooks. */
import * as tf from '@tensorflow/tfjs-core';
import type { HeldWeight, Tensor, Tensor2D } from '../backend/backend.ts';
import type { Edit, HookName } from '../model/hooks.ts';
import type { ForwardResult } from '../model/transformer.ts';
import type { ReplacementModel } from '../replacement/replacement-model.ts';
import type { Components } from './components.ts';

/** What enters the residual stream, [pos · d_model] each; what is left out is zero. */
export interface Written {
  readonly embedding?: Float32Array | undefined;
  /** By layer. */
  readonly mlpOut: ReadonlyMap<number, Float32Array>;
}

/**
 * Runs the frozen model on what is written alone. It is linear: patterns and norm divisors are those of the attributed pass,
 * MLPs write nothing but their skip, so the result is the change that the same writing makes to the attributed pass, without
 * the rounding of a difference of two large numbers. Feature inputs and `unembed.hook_pre` are captured.
 */
export async function frozenPass(
  replacement: ReplacementModel,
  components: Components,
  written: Written,
  signal?: AbortSignal,
): Promise<ForwardResult> {
  const { n_layers, d_model } = replacement.model.config;
  const shape: [number, number] = [components.layout.n_pos, d_model];
  const { activations } = components.forward;
  const skips: (HeldWeight | null)[] = [];
  try {
    for (let layer = 0; layer < n_layers; layer++)
      skips.push(await replacement.transcoders.acquireSkip(layer));
    const edits = new Map<HookName, Edit>();
    for (const name of replacement.flow.stoppedAt) edits.set(name, () => activations.get(name));
    edits.set('hook_embed', () => vectors(written.embedding, shape));
    const inputs = new Map<number, Tensor>();
    for (let layer = 0; layer < n_layers; layer++) {
      edits.set(replacement.inputHook(layer), (value) => {
        inputs.set(layer, value);
        return value;
      });
      edits.set(replacement.outputHook(layer), () => {
        const own = vectors(written.mlpOut.get(layer), shape);
        const skip = skips[layer]?.matMul(inputs.get(layer) as Tensor2D, { transpose: true });
        return skip ? tf.add<Tensor2D>(own, skip) : own;
      });
    }
    const captured = new Set<HookName>(['unembed.hook_pre']);
    for (let layer = 0; layer < n_layers; layer++) captured.add(replacement.inputHook(layer));
    return await replacement.forward(components.tokens, {
      edits,
      capture: (name) => captured.has(name),
      logits: 'last',
      ...(signal && { signal }),
    });
  } finally {
    for (const skip of skips) skip?.[Symbol.dispose]();
  }
}

function vectors(values: Float32Array | undefined, shape: [number, number]): Tensor2D {
  return values ? tf.tensor2d(values, shape) : tf.zeros(shape);
}
