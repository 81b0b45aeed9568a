import { describe, expect, it } from '@jest/globals';
import type { HookedConfig } from '../../src/model/hooks.ts';
import { Freeze } from '../../src/intervention/freeze.ts';
import type { Intervention, Positions } from '../../src/intervention/intervention.ts';
import { overruled, resolveInterventions } from '../../src/intervention/resolve.ts';
import { FOUR_NORM_BLOCK } from '../support/blocks.ts';

const EXTENT = { featureCounts: [128, 128, 128, 128], n_pos: 11 };

function at(pos: Positions, more: Partial<Intervention> = {}): Intervention {
  return { layer: 1, pos, feature: 7, change: { kind: 'set', value: 2 }, ...more };
}

function resolved(...interventions: Intervention[]) {
  return resolveInterventions(interventions, EXTENT);
}

describe('checking interventions against model and prompt', () => {
  it('counts negative positions from the end and leaves open ranges open', () => {
    const places = resolved(at(-1), at({ start: 2, stop: null }), at({ start: -3, stop: -1 }));
    expect(places.map(({ start, stop }) => [start, stop])).toEqual([
      [10, 11],
      [2, Infinity],
      [8, 10],
    ]);
  });

  it.each([
    ['layer', at(3, { layer: 4 }), 'layer 4 does not exist; the model has 4 layers', 'from 0 to 3'],
    ['feature', at(3, { feature: 128 }), 'feature 128 does not exist', 'from 0 to 127'],
    ['position', at(11), 'position 11 does not exist; the prompt has 11 tokens', 'from 0 to 10'],
    ['negative position', at(-12), 'position -12 does not exist', 'from -11 to -1'],
    ['fractional position', at(1.5), 'position 1.5 does not exist', 'from 0 to 10'],
    ['start of a range', at({ start: 11, stop: null }), 'position 11 does not exist', 'from 0 to 10'],
    ['end of a range', at({ start: 2, stop: 12 }), 'position 12 does not exist', 'from 0 to 10'],
  ])('names the valid range of a %s outside it', (_, intervention, message, hint) => {
    expect(() => resolved(intervention)).toThrow(
      expect.objectContaining({
        exitCode: 2,
        message: expect.stringContaining(message),
        hint: expect.stringContaining(hint),
      }),
    );
  });

  it.each([NaN, Infinity, 1e39])('refuses the value %p', (value) => {
    expect(() => resolved(at(3, { change: { kind: 'set', value } }))).toThrow(/not a finite number/);
  });

  it('refuses an empty range', () => {
    expect(() => resolved(at({ start: 5, stop: 5 }))).toThrow(/range is empty/);
  });

  it('lets an open range wait for tokens that are generated, and no longer', () => {
    const waiting = at({ start: 12, stop: null });
    const extent = { ...EXTENT, n_generated: 2 };
    expect(resolveInterventions([waiting], extent)[0]!.start).toBe(12);
    expect(() => resolveInterventions([at({ start: 13, stop: null })], extent)).toThrow(/position 13/);
  });

  it('finds what a later entry overrules, ranges included', () => {
    const all = resolved(at(3), at({ start: 2, stop: null }), at(3, { feature: 8 }), at(-1));
    expect(overruled(all)).toEqual([all[0], all[1]]);
    expect(overruled(resolved(at(3), at(4), at(3, { layer: 2 })))).toEqual([]);
  });
});

/** Four norms a block, as in Gemma 2. */
const GEMMA_LIKE: HookedConfig = {
  n_layers: 4,
  positions: 'rotary',
  block: FOUR_NORM_BLOCK,
};

describe('what is held fixed', () => {
  it('is the pattern alone by default, everything when all layers are constrained', () => {
    expect(new Freeze({}, 4).constantHooks(GEMMA_LIKE)).toEqual(
      [0, 1, 2, 3].map((layer) => `blocks.${layer}.attn.hook_pattern`),
    );
    const all = new Freeze({ freezeAttention: false, constrainedLayers: { from: 0, to: 4 } }, 4);
    expect(all.constantHooks(GEMMA_LIKE)).toHaveLength(4 + 4 * 4 + 1);
    expect(new Freeze({ freezeAttention: false }, 4).constantHooks(GEMMA_LIKE)).toEqual([]);
  });

  it.each([
    { from: 2, to: 2 },
    { from: -1, to: 2 },
    { from: 0, to: 5 },
    { from: 0.5, to: 2 },
  ])('cannot be the layers $from:$to of four', (constrainedLayers) => {
    expect(() => new Freeze({ constrainedLayers }, 4)).toThrow(/the model has 4 layers/);
  });
});
