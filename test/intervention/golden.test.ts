import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { Freeze } from '../../src/intervention/freeze.ts';
import { changedPass, originalPass } from '../../src/intervention/intervene.ts';
import { observeFeatures, observePreActivations } from '../../src/intervention/observe.ts';
import { InterventionPlan } from '../../src/intervention/plan.ts';
import { resolveInterventions } from '../../src/intervention/resolve.ts';
import { largestIndices } from '../../src/model/logits.ts';
import { casesOn, GOLDEN_DEVICES } from '../support/backends.ts';
import { goldenPath, prompts, tolerances } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectTensor, expectValues, readTensors } from '../support/tensors.ts';
import { GOLDEN_FILES, interventionsOf } from './golden.ts';

const IGNORED = 1; // position 0, as the reference does

describe.each(GOLDEN_DEVICES)('interventions on %s', (device) => {
  it.each(casesOn(device, GOLDEN_FILES))(
    'give the logits and activations of the reference for every case of $fixture $set',
    async ({ fixture, set, prompt, cases }) => {
      const expected = await readTensors(
        goldenPath(fixture, 'expected', 'interventions', `${set}.safetensors`),
      );
      const tolerance = tolerances(fixture).interventions_and_generation;
      const tokens = prompts(fixture)[prompt].token_ids;
      using loaded = await loadFixture(device, fixture, set);
      const { replacement } = loaded;
      const { n_layers } = replacement.model.config;
      const { featureCounts } = replacement.transcoders;
      expect(cases.length).toBeGreaterThan(4);
      for (const golden of cases) {
        const before = tf.memory().numTensors;
        {
          const range = golden.constrained_layers;
          const freeze = new Freeze(
            {
              freezeAttention: golden.freeze_attention,
              ...(range && { constrainedLayers: { from: range[0], to: range[1] } }),
            },
            n_layers,
          );
          const resolved = resolveInterventions(interventionsOf(golden), {
            featureCounts,
            n_pos: tokens.length,
          });
          using plan = await InterventionPlan.of(replacement, resolved);
          using original = await originalPass(replacement, tokens, freeze);
          using changed = await changedPass(replacement, tokens, plan, freeze, original);
          const name = `${fixture} ${set} ${golden.id}`;
          await expectTensor(name, changed.logits, expected.get(`${golden.id}/logits`)!, tolerance);
          const last = await changed.lastLogits();
          expect(largestIndices(last, 1)).toEqual([golden.top_token]);
          const [a, b] = [await changed.logits.data<'float32'>(), await original.logits.data<'float32'>()];
          const largest = a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
          expectValues(`${name}: change`, [largest], [golden.max_abs_logit_change], tolerance);
          if (golden.apply_activation_function) {
            const { indices, values } = await observeFeatures(replacement, changed.activations, {
              ignored: IGNORED,
            });
            expect([...indices]).toEqual([...expected.get(`${golden.id}/activation_indices`)!.values]);
            expectValues(name, values, expected.get(`${golden.id}/activation_values`)!.values, tolerance);
          } else {
            const { values, shape } = await observePreActivations(replacement, changed.activations, {
              ignored: IGNORED,
            });
            const pre = expected.get(`${golden.id}/pre_activations`)!;
            expect(shape).toEqual(pre.shape);
            expectValues(name, values, pre.values, tolerance);
          }
        }
        expect(tf.memory().numTensors - before).toBe(0);
      }
    },
  );
});
