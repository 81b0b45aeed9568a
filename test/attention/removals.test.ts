/** Heads taken away, against the golden data: what the linear model predicts, and what happens under each freeze. */
import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { headEffects } from '../../src/attention/effects.ts';
import { TracedPrompt } from '../../src/attention/traced-prompt.ts';
import { chooseTargets } from '../../src/attribution/targets.ts';
import { Freeze } from '../../src/intervention/freeze.ts';
import {
  headFactors,
  parseHeadRemoval,
  parseHeadScale,
  resolveHeads,
} from '../../src/intervention/head-change.ts';
import { changedPass, originalPass } from '../../src/intervention/intervene.ts';
import { observeFeatures } from '../../src/intervention/observe.ts';
import { InterventionPlan } from '../../src/intervention/plan.ts';
import { GOLDEN_DEVICES, casesOn, openBackend } from '../support/backends.ts';
import { loadFixture } from '../support/replacement.ts';
import { attentionRuns } from './golden.ts';

describe.each(GOLDEN_DEVICES)('heads taken away on %s', (device) => {
  it.each(casesOn(device, attentionRuns()).map((run) => [run.title, run] as const))(
    'change %s as predicted when all is held, and as the reference otherwise',
    async (_, { fixture, run, expectNumbers, expectStored, stored }) => {
      await openBackend(device);
      const before = tf.memory().numTensors;
      {
        using loaded = await loadFixture(device, fixture, run.set);
        const { replacement, tokenizer } = loaded;
        const { config } = replacement.model;
        const tokens = run.token_ids;
        const T = tokens.length;
        using prompt = await TracedPrompt.of(replacement, tokens);
        using targets = await chooseTargets(
          { kind: 'tokens', ids: run.logit_token_ids },
          await prompt.pass.lastLogits(),
          replacement,
          tokenizer,
        );
        const { entries } = await headEffects(prompt, targets.vectors, run.removals);
        for (const [i, removal] of run.removals.entries()) {
          const { id, layer, head, query, key } = removal;
          const changes = resolveHeads([{ layer, head, query, key, factor: 0 }], config, T);
          const factors = headFactors(changes, layer, config.n_heads, T).subarray(
            head * T * T,
            (head + 1) * T * T,
          );
          const predicted = run.logit_token_ids.map((__, target) =>
            entries[i]!.total.subarray(target * T * T, (target + 1) * T * T).reduce(
              (sum, effect, at) => sum + (factors[at]! - 1) * effect,
              0,
            ),
          );
          expectNumbers(`${id} predicted`, predicted, removal.predicted, 'logit effects');
          const all = { constrainedLayers: { from: 0, to: config.n_layers } };
          for (const [name, options] of [
            ['all', all],
            ['attention', {}],
            ['free', { freezeAttention: false }],
          ] as const) {
            const freeze = new Freeze(options, config.n_layers);
            using plan = await InterventionPlan.of(replacement, [], { changes, renormalize: false });
            const capture = (hook: string): boolean => hook === 'unembed.hook_post';
            using original = await originalPass(replacement, tokens, freeze, { capture });
            using changed = await changedPass(replacement, tokens, plan, freeze, original, { capture });
            const z = await Promise.all(
              [original, changed].map((pass) => centred(pass.activations.get('unembed.hook_post'))),
            );
            const change = run.logit_token_ids.map((token) => z[1]![token]! - z[0]![token]!);
            expectNumbers(`${id} ${name} change`, change, removal.change[name], 'removal changes');
            await expectStored(
              `removals/${id}/${name}/logits`,
              await changed.logits.data(),
              'removal logits',
            );
            const seen = await observeFeatures(replacement, changed.activations, {
              ignored: replacement.ignoredPositions(tokens),
            });
            const indices = (await stored(`removals/${id}/${name}/activation_indices`)).values;
            expect([...seen.indices]).toEqual([...indices]);
            await expectStored(
              `removals/${id}/${name}/activation_values`,
              seen.values,
              'removal activations',
            );
          }
        }
      }
      expect(tf.memory().numTensors - before).toBe(0);
    },
  );
});

/** Logits of the last position less their mean. */
async function centred(z: tf.Tensor): Promise<Float64Array> {
  const values = await z.data<'float32'>();
  const last = Float64Array.from(values.subarray(values.length - z.shape[1]!));
  const mean = last.reduce((sum, value) => sum + value, 0) / last.length;
  return last.map((value) => value - mean);
}

describe('the text of head changes', () => {
  it.each([
    ['5.3', { query: null, key: null }],
    ['5.3:8', { query: 8, key: null }],
    ['5.3:-1:7', { query: -1, key: 7 }],
    ['5.3:*:0', { query: null, key: 0 }],
  ])('reads %s', (text, expected) => {
    expect(parseHeadRemoval('--remove-head', text)).toEqual({ layer: 5, head: 3, factor: 0, ...expected });
    expect(parseHeadScale('--scale-head', `${text}=0.5`)).toEqual({
      layer: 5,
      head: 3,
      factor: 0.5,
      ...expected,
    });
  });

  it.each(['5', '5.3.1', '5.3:', '5.3:a', '5.3:1:2:3', ''])('refuses %j', (text) => {
    expect(() => parseHeadRemoval('--remove-head', text)).toThrow(/--remove-head: expected LAYER\.HEAD/);
  });

  it.each(['5.3', '5.3=', '5.3=x', '5.3=1e999'])('refuses the factor of %j', (text) => {
    expect(() => parseHeadScale('--scale-head', text)).toThrow(/--scale-head/);
  });

  it('names what is outside the model or the prompt', () => {
    const resolve = (text: string) => () =>
      resolveHeads([parseHeadRemoval('--remove-head', text)], { n_layers: 4, n_heads: 2 }, 9);
    expect(resolve('4.0')).toThrow(/layer 4 does not exist/);
    expect(resolve('3.2')).toThrow(/head 2 does not exist/);
    expect(resolve('3.1:9')).toThrow(/position 9 does not exist/);
    expect(resolve('3.1:2:3')).toThrow(/does not see the key/);
    expect(resolve('3.1:-1:-2')()).toMatchObject([{ query: 8, key: 7 }]);
  });
});
