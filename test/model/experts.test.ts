/** Mixtures of experts: the router's hooks, and which packed weights are refused (GPT-OSS). */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { writeSafetensors } from '../../src/formats/safetensors-writer.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { MemoryBudget } from '../../src/backend/budget.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { blockHook } from '../../src/model/hooks.ts';
import { loadTransformer } from '../../src/model/load.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { folder, goldenPath, prompts, tolerances } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';
import { expectTensor, readTensors } from '../support/tensors.ts';

const FIXTURE = 'families/gpt-oss';
const PACKED = path.join(import.meta.dirname, '../fixtures/transformers/gpt-oss-packed');

describe.each(TEST_DEVICES)('experts on %s', (device) => {
  it('are chosen as in the reference, with its weights', async () => {
    const backend = await openBackend(device);
    const golden = await readTensors(goldenPath(FIXTURE, 'expected', 'router.safetensors'));
    const tolerance = tolerances(FIXTURE).logits_and_hooks;
    using checkpoint = await openCheckpoint(folder(goldenPath(FIXTURE, 'model')));
    using model = await loadTransformer(backend, checkpoint);
    const names = ['p1', 'p2', 'p3'].filter((name) => golden.has(`${name}/blocks.0.router_logits`));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names as ('p1' | 'p2' | 'p3')[]) {
      using result = await model.forward(prompts(FIXTURE)[name].token_ids, {
        capture: (hook) => /router|expert/.test(hook),
      });
      for (let layer = 0; layer < model.config.n_layers; layer++) {
        const at = `${name}/blocks.${layer}`;
        const logits = result.activations.get(blockHook(layer, 'mlp.hook_router_logits'));
        await expectTensor(`${at} logits`, logits, golden.get(`${at}.router_logits`)!, tolerance);
        const weights = result.activations.get(blockHook(layer, 'mlp.hook_expert_weights'));
        await expectTensor(`${at} weights`, weights, golden.get(`${at}.router_weights`)!, tolerance);
      }
    }
  });

  it('give the same logits when they are read for each use, one at a time', async () => {
    const backend = await openBackend(device);
    using checkpoint = await openCheckpoint(folder(goldenPath(FIXTURE, 'model')));
    using held = await loadTransformer(backend, checkpoint);
    using streamed = await loadTransformer(backend, checkpoint, { budget: new MemoryBudget(0) });
    const { token_ids } = prompts(FIXTURE).p3;
    using expected = await held.forward(token_ids);
    using found = await streamed.forward(token_ids);
    expect(await found.logits.data()).toEqual(await expected.logits.data());
    const experts = streamed.weights.blocks.flatMap((block) => block.experts ?? []);
    expect(experts.length).toBe(streamed.config.n_layers * streamed.config.block.experts!.n_experts);
    expect(experts.map(({ W_gate_up, W_out }) => W_gate_up.heldBytes + W_out.heldBytes)).toEqual(
      experts.map(() => 0),
    );
  });

  it('are chosen anew when the weights are edited, and other experts are not used', async () => {
    const backend = await openBackend(device);
    using checkpoint = await openCheckpoint(folder(goldenPath(FIXTURE, 'model')));
    using model = await loadTransformer(backend, checkpoint);
    const tokens = prompts(FIXTURE).p1.token_ids;
    const hook = blockHook(0, 'mlp.hook_expert_weights');
    const mlpOut = blockHook(0, 'mlp.hook_out');
    const run = async (only: number, times: number): Promise<Float32Array> => {
      const edit = (): tf.Tensor =>
        tf.mul(
          tf.oneHot(tf.fill([tokens.length], only, 'int32'), model.config.block.experts!.n_experts),
          times,
        );
      using result = await model.forward(tokens, {
        edits: new Map([[hook, edit]]),
        capture: (name) => name === mlpOut,
      });
      return await result.activations.get(mlpOut).data<'float32'>();
    };
    const [one, twice, other] = [await run(1, 1), await run(1, 2), await run(2, 1)];
    one.forEach((value, i) => expect(twice[i]).toBeCloseTo(2 * value, 4));
    expect(other.some((value, i) => Math.abs(value - one[i]!) > 0.1)).toBe(true);
  });
});

describe('experts packed as mxfp4', () => {
  const scratch = scratchFolder();
  afterAll(() => scratch[Symbol.dispose]());
  let at = 0;
  let root: string;
  beforeAll(() => expect(readFileSync(path.join(PACKED, 'config.json'), 'utf8')).toContain('mxfp4'));

  function changed(change: (config: Record<string, unknown>) => void): string {
    root = path.join(scratch.path, String(at++));
    cpSync(PACKED, root, { recursive: true });
    const file = path.join(root, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    change(config);
    writeFileSync(file, JSON.stringify(config));
    return root;
  }

  const refusal = async (at: string): Promise<unknown> =>
    openCheckpoint(folder(at)).then(
      (opened) => (opened[Symbol.dispose](), 'opened'),
      (error: unknown) => error,
    );

  it.each([
    ['another method', { quant_method: 'gptq', bits: 4 }, 'quantised', /quantization_config is .*gptq/],
    ['no method', { bits: 4 }, 'quantised', /quantization_config/],
  ])('are refused with %s', async (_, quantization_config, code, message) => {
    const found = await refusal(changed((config) => (config['quantization_config'] = quantization_config)));
    expect(found).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('are refused in another family', async () => {
    const found = await refusal(changed((config) => (config['model_type'] = 'llama')));
    expect(found).toMatchObject({ code: 'quantised' });
  });

  it('are refused where a group would not be full', async () => {
    const found = await refusal(changed((config) => (config['intermediate_size'] = 48)));
    expect(found).toMatchObject({
      code: 'bad_config',
      message: expect.stringContaining('intermediate_size'),
    });
  });

  it.each([
    ['blocks of another shape', 'gate_up_proj_blocks', 'tensor_shape'],
    ['scales of another shape', 'down_proj_scales', 'tensor_shape'],
    ['scales that are missing', 'gate_up_proj_scales', 'missing_tensor'],
  ])('are refused with %s', async (what, key, code) => {
    const at = changed(() => undefined);
    for (const shard of ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']) {
      const file = path.join(at, shard);
      using opened = await openSafetensors(file);
      const entries = await Promise.all(
        [...opened.tensors.values()].map(async ({ name, dtype, shape }) => {
          const isMeant = name === `model.layers.1.mlp.experts.${key}`;
          const data = await opened.read(name);
          if (!isMeant) return [{ name, dtype, shape, data }];
          return what.includes('missing') ? [] : [{ name, dtype, shape: [...shape].reverse(), data }];
        }),
      );
      await writeSafetensors(file, entries.flat() as Parameters<typeof writeSafetensors>[1]);
    }
    const found = await refusal(at);
    expect(found).toMatchObject({
      code,
      message: expect.stringContaining(`model.layers.1.mlp.experts.${key}`),
    });
  });
});
