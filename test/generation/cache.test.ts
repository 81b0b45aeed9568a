import { describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { Endings } from '../../src/generation/ending.ts';
import { generateTokens, type Continuation } from '../../src/generation/generate.ts';
import { tokenChoice } from '../../src/generation/sampling.ts';
import { Freeze } from '../../src/intervention/freeze.ts';
import type { Intervention } from '../../src/intervention/intervention.ts';
import { InterventionPlan } from '../../src/intervention/plan.ts';
import { resolveInterventions } from '../../src/intervention/resolve.ts';
import { KeyValueCache } from '../../src/model/kv-cache.ts';
import { largestIndices } from '../../src/model/logits.ts';
import type { ReplacementModel } from '../../src/replacement/replacement-model.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import { FIXTURES, prompts, tolerances } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';
import { expectValues } from '../support/tensors.ts';

interface Wish {
  readonly n: number;
  readonly interventions?: readonly Intervention[];
  readonly freezeAttention?: boolean;
  readonly endings?: Endings;
  readonly signal?: AbortSignal;
  readonly onToken?: (id: number) => void;
}

async function continued(
  replacement: ReplacementModel,
  tokens: readonly number[],
  { n, interventions = [], freezeAttention = true, ...more }: Wish,
): Promise<Continuation> {
  const { n_layers } = replacement.model.config;
  const { featureCounts } = replacement.transcoders;
  const extent = { featureCounts, n_pos: tokens.length, n_generated: n - 1 };
  using plan = await InterventionPlan.of(replacement, resolveInterventions(interventions, extent));
  return await generateTokens(replacement, tokens, {
    maxNewTokens: n,
    choose: tokenChoice({ temperature: 0, seed: 0 }),
    plan,
    freeze: new Freeze({ freezeAttention }, n_layers),
    keepPasses: true,
    ...more,
  });
}

describe.each(TEST_DEVICES)('generation on %s', (device) => {
  it.each(FIXTURES)(
    'with cached keys and values gives what whole passes give, beyond the window too (%s)',
    async (fixture) => {
      using loaded = await loadFixture(device, fixture, 'plt-jumprelu');
      const { replacement } = loaded;
      const prompt = prompts(fixture).p3.token_ids;
      const n = 6;
      using found = await continued(replacement, prompt, { n });
      const tolerance = tolerances(fixture).interventions_and_generation;
      const tokens = [...prompt];
      for (let i = 0; i < n; i++) {
        using whole = await replacement.forward(tokens, { logits: 'last' });
        const row = await whole.lastLogits();
        expectValues(`row ${i}`, found.logits[i]!, row, tolerance);
        expect(found.newTokens[i]).toBe(largestIndices(row, 1)[0]);
        tokens.push(found.newTokens[i]!);
      }
    },
  );

  it('reads a prompt in pieces as it reads it at once', async () => {
    using loaded = await loadFixture(device, 'tiny-b', 'clt');
    const { replacement } = loaded;
    const tokens = prompts('tiny-b').p3.token_ids;
    const before = tf.memory().numTensors;
    {
      using whole = await replacement.forward(tokens);
      using cache = new KeyValueCache();
      const rows: number[] = [];
      for (const [start, stop] of [
        [0, 3],
        [3, 4],
        [4, tokens.length],
      ]) {
        using piece = await replacement.forward(tokens.slice(start, stop), { cache });
        rows.push(...(await piece.logits.data<'float32'>()));
        expect(cache.length).toBe(stop);
      }
      expectValues('logits', rows, await whole.logits.data(), tolerances('tiny-b').logits_and_hooks);
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('with changes that change nothing gives the tokens of plain generation', async () => {
    using loaded = await loadFixture(device, 'tiny-a', 'plt-jumprelu');
    const { replacement } = loaded;
    const tokens = prompts('tiny-a').p2.token_ids;
    using plain = await continued(replacement, tokens, { n: 6 });
    for (const freezeAttention of [true, false]) {
      using empty = await continued(replacement, tokens, { n: 6, freezeAttention });
      expect(empty.newTokens).toEqual(plain.newTokens);
      using same = await continued(replacement, tokens, {
        n: 6,
        freezeAttention,
        interventions: [
          { layer: 0, pos: { start: 1, stop: null }, feature: 104, change: { kind: 'scale', factor: 1 } },
        ],
      });
      expect(same.newTokens).toEqual(plain.newTokens);
      expectValues(
        'logits',
        same.logits.flatMap((row) => [...row]),
        plain.logits.flatMap((row) => [...row]),
        tolerances('tiny-a').interventions_and_generation,
      );
    }
  });

  it('starts an open range in the middle of generated tokens', async () => {
    using loaded = await loadFixture(device, 'tiny-a', 'plt-jumprelu');
    const { replacement } = loaded;
    const tokens = prompts('tiny-a').p2.token_ids;
    using plain = await continued(replacement, tokens, { n: 4 });
    const pos = { start: tokens.length + 1, stop: null };
    using late = await continued(replacement, tokens, {
      n: 4,
      interventions: [{ layer: 1, pos, feature: 22, change: { kind: 'set', value: 40 } }],
    });
    const { interventions_and_generation: tolerance } = tolerances('tiny-a');
    expectValues('row of the prompt', late.logits[0]!, plain.logits[0]!, tolerance);
    expectValues('row before the start', late.logits[1]!, plain.logits[1]!, tolerance);
    expect(() =>
      expectValues('row at the start', late.logits[2]!, plain.logits[2]!, 10 * tolerance),
    ).toThrow();
  });

  it('stops at the token that ends the text, which is the last one', async () => {
    using loaded = await loadFixture(device, 'tiny-a', 'plt-jumprelu');
    const { replacement } = loaded;
    const tokens = prompts('tiny-a').p2.token_ids;
    using plain = await continued(replacement, tokens, { n: 6 });
    const endToken = plain.newTokens[2]!;
    const endings = new Endings(loaded.tokenizer, tokens, { endTokens: [endToken] });
    using stopped = await continued(replacement, tokens, { n: 6, endings });
    expect(stopped.newTokens).toEqual(plain.newTokens.slice(0, plain.newTokens.indexOf(endToken) + 1));
    expect(stopped.ending).toEqual({ kind: 'eos', token: endToken });
    expect(stopped.logits).toHaveLength(stopped.newTokens.length);
  });

  it('tells each token as it comes, and ends between two of them when it is stopped', async () => {
    using loaded = await loadFixture(device, 'tiny-a', 'plt-jumprelu');
    const { replacement } = loaded;
    const stop = new AbortController();
    const told: number[] = [];
    const before = tf.memory().numTensors;
    const running = continued(replacement, prompts('tiny-a').p2.token_ids, {
      n: 6,
      signal: stop.signal,
      onToken(id) {
        told.push(id);
        if (told.length === 2) stop.abort(new Error('enough'));
      },
    });
    await expect(running).rejects.toThrow('enough');
    expect(told).toHaveLength(2);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses a continuation beyond the context before the first pass', async () => {
    using loaded = await loadFixture(device, 'tiny-a', 'plt-jumprelu');
    const { replacement } = loaded;
    const { n_ctx } = replacement.model.config;
    await expect(continued(replacement, [2, 3], { n: n_ctx })).rejects.toMatchObject({
      exitCode: 2,
      hint: `At most ${n_ctx - 1} new tokens are possible.`,
    });
  });
});
