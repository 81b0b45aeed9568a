import '../support/gradients.ts';
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { attribute } from '../../src/attribution/attribute.ts';
import type { HeldWeight, Tensor, Tensor2D } from '../../src/backend/backend.ts';
import { ActivationCache, hookPoints } from '../../src/model/activation-cache.ts';
import { attentionMask } from '../../src/model/attention.ts';
import { block } from '../../src/model/block.ts';
import type { HeldBlock } from '../../src/model/held-block.ts';
import { blockHook, type Edit, type HookName } from '../../src/model/hooks.ts';
import { rotaryTable } from '../../src/model/rope.ts';
import { matricesOf, type BlockMatrix } from '../../src/model/block-spec.ts';
import { gradientFlow } from '../../src/replacement/gradient-flow.ts';
import type { ReplacementModel } from '../../src/replacement/replacement-model.ts';
import { prepare } from '../attribution/prepare.ts';
import { prompts, tolerances } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectValues } from '../support/tensors.ts';

/** The value goes on, its gradient does not. */
function stopGradient(value: Tensor): Tensor {
  const stopped = tf.customGrad((x) => ({
    value: (x as Tensor).clone(),
    gradFunc: (dy: Tensor) => tf.zerosLike(dy),
  }));
  return stopped(value);
}

async function acquireBlocks(replacement: ReplacementModel): Promise<HeldBlock[]> {
  const held: HeldBlock[] = [];
  for (const weights of replacement.model.weights.blocks) {
    const matrices: Partial<Record<BlockMatrix, HeldWeight>> = {};
    for (const name of matricesOf(replacement.model.config.block))
      matrices[name] = await weights.matrices[name]!.acquire();
    held.push({ ...weights, matrices });
  }
  return held;
}

/**
 * The hooked forward as a function of the embedding and of what is added to each MLP output, with gradients stopped where
 * the gradient-flow table says; gives the value at the feature input of `layer`.
 */
function featureInput(
  replacement: ReplacementModel,
  blocks: readonly HeldBlock[],
  skips: readonly (HeldWeight | null)[],
  layer: number,
) {
  const { config } = replacement.model;
  const flow = gradientFlow(config, replacement.transcoders.config.feature_output_hook);
  return (embedding: Tensor2D, ...added: Tensor2D[]): Tensor2D => {
    const n = embedding.shape[0];
    const edits = new Map<HookName, Edit>();
    for (const name of flow.stoppedAt) edits.set(name, (value) => stopGradient(value));
    let input: Tensor2D | undefined;
    for (let k = 0; k <= layer; k++) {
      const at = replacement.inputHook(k);
      const others = edits.get(at);
      edits.set(at, (value, name) => (input = (others?.(value, name) ?? value) as Tensor2D));
      edits.set(flow.constantExceptSkipAt[k]!, (value) => {
        const skip = skips[k]?.matMul(input!, { transpose: true });
        return skip ? tf.add(skip, stopGradient(tf.sub(value, skip))) : stopGradient(value);
      });
      const more = added[k];
      if (more) edits.set(blockHook(k, 'hook_mlp_out.hook_out_grad'), (value) => tf.add(value, more));
    }
    const context = {
      config,
      hooks: hookPoints({ edits }, new ActivationCache()),
      rotary: {
        local: rotaryTable(0, n, config.rotary!.local),
        global: rotaryTable(0, n, config.rotary!.global),
      },
      masks: {
        local: attentionMask(0, n, 'local', config.window_size),
        global: attentionMask(0, n, 'global', config.window_size),
      },
    };
    let residual = embedding;
    for (let k = 0; k <= layer; k++) residual = block(residual, blocks[k]!, k, context);
    return input!;
  };
}

describe('the linear map that the gradient-flow table defines', () => {
  it.each([
    ['tiny-a', 'plt-jumprelu'],
    ['tiny-a', 'plt-relu-skip'],
    ['tiny-a', 'clt'],
    ['tiny-b', 'plt-relu-skip'],
    ['tiny-b', 'clt'],
  ] as const)('is what autodiff through the hooked forward gives: %s, %s', async (fixture, setName) => {
    using loaded = await loadFixture('cpu', fixture, setName);
    const { replacement, tokenizer } = loaded;
    const tokens = prompts(fixture).p1.token_ids;
    using result = await attribute(replacement, tokenizer, tokens, {
      targets: { kind: 'most_likely', maxLogits: 1, desiredProbability: 1 },
      maxFeatureNodes: 0,
      batchSize: 64,
      updateInterval: 4,
      selection: 'reference',
    });
    const { features, columns: layout, edges } = result;
    using prepared = await prepare(replacement, tokens);
    const { tokenVectors } = prepared.pass;
    const sources = await prepared.all();
    const N = layout.n_columns + 1;
    const blocks = await acquireBlocks(replacement);
    const skips = await Promise.all(blocks.map((_, layer) => replacement.transcoders.acquireSkip(layer)));
    const zeros = tokenVectors.shape;
    let compared = 0;
    for (let target = layout.n_features - 1; target >= 0 && compared < 25; target -= 3, compared++) {
      const [layer, position, feature] = [0, 1, 2].map((i) => features.indices[3 * target + i]!) as [
        number,
        number,
        number,
      ];
      const encoder = await replacement.transcoders.encoderRows(layer, Int32Array.of(feature));
      const forward = featureInput(replacement, blocks, skips, layer);
      const row = tf.tidy(() => {
        const preActivation = (...inputs: Tensor[]): tf.Scalar => {
          const [embedding, ...added] = inputs as Tensor2D[];
          const input = forward(embedding!, ...added);
          return tf.sum(tf.mul(tf.slice(input, [position, 0], [1, -1]), encoder));
        };
        // Only MLPs of lower layers can matter to a feature.
        const inputs = [tokenVectors, ...Array.from({ length: layer }, () => tf.zeros(zeros))];
        const [atEmbedding, ...atMlpOut] = tf.grads(preActivation)(inputs) as Tensor2D[];
        const expected = new Float32Array(N);
        const atTokens = tf.sum(tf.mul(atEmbedding!, tokenVectors), 1).dataSync();
        atTokens.forEach((value, t) => (expected[layout.tokenColumn(t)] = value));
        atMlpOut.forEach((gradient, k) => {
          sources[k]!.forEach(({ vectors, columns }, t) => {
            const dots = tf.matMul(vectors, tf.slice(gradient, [t, 0], [1, -1]), false, true).dataSync();
            columns.forEach((column, i) => (expected[column]! += dots[i]!));
          });
        });
        return expected;
      });
      encoder.dispose();
      // Columns of error nodes at position 0 are zero in both: their vectors are.
      expectValues(
        `row of ${layer}:${position}:${feature}`,
        edges.subarray(target * N, (target + 1) * N),
        row,
        tolerances(fixture).adjacency,
      );
    }
    expect(compared).toBeGreaterThan(5);
  });

  it('starts at the embedding and stops at every pattern and every norm divisor', async () => {
    using loaded = await loadFixture('cpu', 'tiny-a', 'plt-jumprelu');
    const flow = gradientFlow(loaded.replacement.model.config, 'hook_mlp_out');
    expect(flow.enabledAt).toEqual(['hook_embed']);
    expect(flow.stoppedAt).toHaveLength(4 * 5 + 1);
    expect(flow.stoppedAt).toContain('blocks.3.attn.hook_pattern');
    expect(flow.stoppedAt).toContain('blocks.0.ln2_post.hook_scale');
    expect(flow.stoppedAt).toContain('ln_final.hook_scale');
  });
});
