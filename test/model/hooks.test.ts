import { describe, expect, it } from '@jest/globals';
import { UsageError } from '../../src/errors.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import {
  composeEdits,
  hookNames,
  matchHooks,
  type Edit,
  type HookedConfig,
  type HookName,
} from '../../src/model/hooks.ts';
import { FOUR_NORM_BLOCK } from '../support/blocks.ts';
import { FIXTURES, folder, goldenPath, prompts, readGoldenJson } from '../support/golden.ts';
import { loadFixture } from '../support/replacement.ts';

describe.each(FIXTURES)('the hooks of %s', (fixture) => {
  it('are those of the reference, with its shapes', async () => {
    const golden = readGoldenJson<Record<string, number[]>>(fixture, 'expected', 'replacement-hooks.json');
    using loaded = await loadFixture('wasm', fixture, 'plt-jumprelu');
    using result = await loaded.replacement.forward(prompts(fixture).p1.token_ids, { capture: () => true });
    const found: (readonly [string, number[]])[] = [...result.activations.entries()].map(
      ([name, value]) => [name, value.shape] as const,
    );
    const expected = Object.entries(golden).map(
      ([name, shape]) => [name.replace('.old_mlp.', '.'), shape] as const,
    );
    expect(new Map(found)).toEqual(new Map(expected));
    expect(found).toHaveLength(expected.length);
  });

  it('have a configuration in agreement with that of the reference', async () => {
    const golden = readGoldenJson<Record<string, unknown>>(fixture, 'expected', 'hooked-config.json');
    using checkpoint = await openCheckpoint(folder(goldenPath(fixture, 'model')));
    const { config } = checkpoint;
    expect({
      n_layers: config.n_layers,
      d_model: config.d_model,
      n_ctx: config.n_ctx,
      d_head: config.d_head,
      n_heads: config.n_heads,
      n_key_value_heads: config.n_kv_heads,
      d_mlp: config.d_mlp,
      d_vocab: config.d_vocab,
      eps: config.eps,
      attn_scale: config.attn_scale,
      attn_types: config.attn_types,
      window_size: config.window_size,
      rotary_base: config.rotary?.global.base,
      attn_scores_soft_cap: config.attn_scores_soft_cap,
      output_logits_soft_cap: config.output_logits_soft_cap,
      act_fn: config.block.act_fn,
      original_architecture: config.family.architecture,
    }).toEqual(
      Object.fromEntries(
        Object.entries(golden).filter(([name]) =>
          [
            ...[
              'n_layers',
              'd_model',
              'n_ctx',
              'd_head',
              'n_heads',
              'n_key_value_heads',
              'd_mlp',
              'd_vocab',
              'eps',
            ],
            ...['attn_scale', 'attn_types', 'window_size', 'rotary_base', 'attn_scores_soft_cap'],
            ...['output_logits_soft_cap', 'act_fn', 'original_architecture'],
          ].includes(name),
        ),
      ),
    );
  });
});

/** Hooks of a model like Gemma 2. */
function withLayers(n_layers: number): HookedConfig {
  return { n_layers, positions: 'rotary', block: FOUR_NORM_BLOCK };
}

describe('hook patterns', () => {
  it('match names, stars, and the spelling inside a replaced MLP', () => {
    expect([...matchHooks(['blocks.1.mlp.old_mlp.hook_pre'], withLayers(2))]).toEqual([
      'blocks.1.mlp.hook_pre',
    ]);
    expect(matchHooks(['*'], withLayers(3)).size).toBe(hookNames(withLayers(3)).length);
    expect([...matchHooks(['blocks.*.hook_mlp_out'], withLayers(2))]).toEqual([
      'blocks.0.hook_mlp_out',
      'blocks.1.hook_mlp_out',
    ]);
    expect(matchHooks(['logits', 'hook_embed'], withLayers(1), ['logits'])).toEqual(
      new Set(['logits', 'hook_embed']),
    );
  });

  it('that match nothing are answered with the nearest name', () => {
    const mistyped = (): unknown => matchHooks(['blocks.0.hook_mlp_oot'], withLayers(2));
    expect(mistyped).toThrow(UsageError);
    try {
      mistyped();
    } catch (error) {
      expect((error as UsageError).hint).toContain('blocks.0.hook_mlp_out');
    }
  });

  it('treat a dot as a dot', () => {
    expect(() => matchHooks(['hook.embed'], withLayers(1))).toThrow(UsageError);
  });
});

describe('edits of two sources', () => {
  it('are applied one after the other at a hook that both name', async () => {
    using loaded = await loadFixture('wasm', 'tiny-a', 'plt-jumprelu');
    const order: string[] = [];
    const note = (word: string): ReadonlyMap<HookName, Edit> =>
      new Map([
        [
          'blocks.0.hook_resid_mid',
          (value) => {
            order.push(word);
            return value;
          },
        ],
      ]);
    using _result = await loaded.replacement.forward([2, 5], {
      edits: composeEdits(note('first'), note('second')),
    });
    expect(order).toEqual(['first', 'second']);
  });
});
