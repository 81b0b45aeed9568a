/** A graphics card answers a reading only when all before it is done: how often runs and attributions read, and what they leave there. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { attribute, type AttributionOptions } from '../../src/attribution/attribute.ts';
import { verifyAttribution } from '../../src/attribution/verify.ts';
import type { Kernels } from '../../src/backend/webgpu/kernels.ts';
import { openBackend } from '../support/backends.ts';
import { prompts, type Fixture } from '../support/golden.ts';
import { readings } from '../support/readings.ts';
import { loadFixture, type LoadedFixture } from '../support/replacement.ts';

const isHere = process.env['VK_DRIVER_FILES'] !== undefined;
const title = isHere ? 'WebGPU' : 'WebGPU (skipped: VK_DRIVER_FILES names no Vulkan driver)';

const ALL_SETS: readonly [Fixture, string][] = [
  ['tiny-a', 'plt-jumprelu'],
  ['tiny-a', 'plt-topk'],
  ['tiny-a', 'plt-relu-skip'],
  ['tiny-a', 'clt'],
];

/** A device in software takes seconds for a run when the machine does other work, so that most is left to the full tests. */
const IS_WHOLE = process.env['DEVICE'] === 'webgpu';
const SETS = IS_WHOLE ? ALL_SETS : ALL_SETS.slice(0, 1);
const N_RUNS = IS_WHOLE ? 200 : 6;

/** All rows in one batch for each position at which features are active. */
const ATTRIBUTION = {
  targets: { kind: 'most_likely', maxLogits: 3, desiredProbability: 1 },
  maxFeatureNodes: 0,
  batchSize: 10_000,
  updateInterval: 4,
  selection: 'exact',
} as const satisfies AttributionOptions;

(isHere ? describe : describe.skip)(title, () => {
  let kernels: Kernels;

  beforeAll(async () => {
    await openBackend('webgpu');
    kernels = tf.backend() as unknown as Kernels;
  });

  const tokens = prompts('tiny-a').p2.token_ids;

  const ran = async ({ replacement }: LoadedFixture): Promise<void> => {
    const { forward } = await replacement.run(tokens, { logits: 'last' });
    await forward.lastLogits();
    forward[Symbol.dispose]();
  };

  it.each(SETS)('reads once a layer and the logits in a run of %s with %s', async (fixture, set) => {
    using loaded = await loadFixture('webgpu', fixture, set);
    expect(await readings(kernels, () => ran(loaded))).toHaveLength(
      loaded.replacement.model.config.n_layers + 1,
    );
  });

  it.each(SETS)(
    'reads twice a layer and once a batch in an attribution of %s with %s',
    async (fixture, set) => {
      using loaded = await loadFixture('webgpu', fixture, set);
      const { replacement, tokenizer } = loaded;
      let n_batches = 0;
      const { length: n } = await readings(kernels, async () => {
        using _result = await attribute(replacement, tokenizer, tokens, {
          ...ATTRIBUTION,
          onProgress: () => (n_batches += 1),
        });
      });
      n_batches -= 1; // the first report comes before the first batch
      expect(n_batches).toBeGreaterThan(0);
      // Features, then MLPs and skips; logits, and rows of logits.
      expect(n).toBeLessThanOrEqual(2 * replacement.model.config.n_layers + 2 + n_batches);
    },
  );

  it('reads by layers, not by features or positions, in a verification', async () => {
    using loaded = await loadFixture('webgpu', 'tiny-a', 'plt-jumprelu');
    const { replacement, tokenizer } = loaded;
    using result = await attribute(replacement, tokenizer, tokens, ATTRIBUTION);
    const { length: n } = await readings(kernels, async () => {
      const options = { n_edges: 0, arithmetic: 'float32' } as const;
      expect((await verifyAttribution(replacement, result, options)).ok).toBe(true);
    });
    // MLPs and skips, sums of sources and what is before them; encoders; inputs of features in two passes; vectors and final norms.
    expect(n).toBeLessThanOrEqual(6 * replacement.model.config.n_layers + 4);
    expect(result.selected.length).toBeGreaterThan(n);
  });

  it(`leaves no buffer behind in ${N_RUNS} runs of a model`, async () => {
    using loaded = await loadFixture('webgpu', 'tiny-a', 'plt-jumprelu');
    const counts = () => ({
      buffers: kernels.bufferManager.nUsed,
      bytes: kernels.bufferManager.numBytesUsed,
      data: kernels.numDataIds(),
      tensors: tf.memory().numTensors,
    });
    const run = async (i: number): Promise<void> => {
      const { forward } = await loaded.replacement.run(tokens.slice(0, 1 + (i % 4)), { logits: 'last' });
      await forward.lastLogits();
      forward[Symbol.dispose]();
    };
    for (let i = 0; i < 4; i++) await run(i);
    const before = counts();
    for (let i = 0; i < N_RUNS; i++) await run(i);
    expect(counts()).toEqual(before);
  });
});
