import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { generateTokens } from '../../src/generation/generate.ts';
import { tokenChoice } from '../../src/generation/sampling.ts';
import { Freeze } from '../../src/intervention/freeze.ts';
import { observeFeatures } from '../../src/intervention/observe.ts';
import { InterventionPlan } from '../../src/intervention/plan.ts';
import { resolveInterventions } from '../../src/intervention/resolve.ts';
import { GOLDEN_FILES, interventionsOf } from '../intervention/golden.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { goldenPath, tolerances } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectValues, readTensors } from '../support/tensors.ts';

describe.each(TEST_DEVICES)('generation on %s', (device) => {
  it.each(GOLDEN_FILES)(
    'gives the tokens, logits and activations of the reference for every case of $fixture $set',
    async ({ fixture, set, continuations }) => {
      const expected = await readTensors(
        goldenPath(fixture, 'expected', 'interventions', `${set}.safetensors`),
      );
      const tolerance = tolerances(fixture).interventions_and_generation;
      using loaded = await loadFixture(device, fixture, set);
      const { replacement, tokenizer } = loaded;
      const { n_layers } = replacement.model.config;
      const { featureCounts } = replacement.transcoders;
      // Of other families there is one a set, made from the tokens of attribution.
      const isFamily = fixture.startsWith('families/');
      expect(continuations.length).toBe(isFamily ? 1 : 4);
      let compared = 0;
      for (const golden of continuations) {
        const { prompt_text } = golden;
        const tokens = isFamily
          ? tokenizer.promptIds(prompt_text, 'unless_special_first')
          : tokenizer.promptIds(prompt_text, 'always');
        const before = tf.memory().numTensors;
        {
          const resolved = resolveInterventions(interventionsOf(golden), {
            featureCounts,
            n_pos: tokens.length,
          });
          using plan = await InterventionPlan.of(replacement, resolved);
          using continuation = await generateTokens(replacement, tokens, {
            maxNewTokens: golden.max_new_tokens,
            choose: tokenChoice({ temperature: 0, seed: 0 }),
            plan,
            freeze: new Freeze({ freezeAttention: golden.freeze_attention }, n_layers),
            keepPasses: true,
          });
          const all = [...tokens, ...continuation.newTokens];
          expect(all).toEqual(golden.token_ids);
          expect(tokenizer.decode(all, { skipSpecialTokens: true })).toBe(golden.text);
          const logits = expected.get(`${golden.id}/logits`);
          if (logits) {
            const name = `${fixture} ${set} ${golden.id}`;
            const found = continuation.logits.flatMap((row) => [...row]);
            expectValues(`${name} logits`, found, logits.values, tolerance);
            const { indices, values } = await observeFeatures(replacement, continuation.inputs!, {
              ignored: 1,
            });
            expect([...indices]).toEqual([...expected.get(`${golden.id}/activation_indices`)!.values]);
            expectValues(name, values, expected.get(`${golden.id}/activation_values`)!.values, tolerance);
            compared++;
          }
        }
        expect(tf.memory().numTensors - before).toBe(0);
      }
      expect(compared).toBeGreaterThan(isFamily ? 0 : 2);
    },
  );
});
