import { describe, expect, it } from '@jest/globals';
import { ExhaustedError } from '../../src/errors.ts';
import { planOf, type PlanInput } from '../../src/trainer/plan.ts';
import { smallRecipe } from './small.ts';

const MIB = 2 ** 20;
/** The model of the published target: 30 layers of width 576, 4,096 features, within 6 GiB less what a process takes. */
const SMOL: PlanInput = {
  recipe: smallRecipe({
    layers: Array.from({ length: 30 }, (_, layer) => layer),
    d_transcoder: 4096,
    k: 32,
    batchTokens: 2048,
  }),
  n_layers: 30,
  d_model: 576,
  maxBytes: 5 * 1024 * MIB,
  blockTokens: 16_384,
};

describe('The plan of a training', () => {
  it('trains all layers in one pass where they fit', () => {
    const plan = planOf(SMOL);
    expect(plan.passes).toEqual([SMOL.recipe.layers]);
    expect(plan.blockTokens).toBe(16_384);
    expect(plan.bytes).toBeLessThanOrEqual(SMOL.maxBytes);
  });

  it('makes passes of about the same size that hold each layer once, with the blocks of all layers or of one', () => {
    let n_passes = 1;
    for (let maxBytes = SMOL.maxBytes; maxBytes > 500 * MIB; maxBytes -= 300 * MIB) {
      const plan = planOf({ ...SMOL, maxBytes });
      expect(plan.bytes).toBeLessThanOrEqual(maxBytes);
      expect(plan.passes.flat()).toEqual(SMOL.recipe.layers);
      const lengths = plan.passes.map((layers) => layers.length);
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      expect(plan.passes.length).toBeGreaterThanOrEqual(n_passes);
      expect(plan.blockTokens).toBe(SMOL.blockTokens);
      expect(planOf({ ...SMOL, maxBytes, recipe: { ...SMOL.recipe, layers: [7] } }).blockTokens).toBe(
        plan.blockTokens,
      );
      n_passes = plan.passes.length;
    }
    expect(n_passes).toBeGreaterThan(3);
  });

  it('shortens blocks where one layer does not fit with them, whatever other layers there are', () => {
    const one = { ...SMOL.recipe, layers: [7] };
    const fitting = planOf({ ...SMOL, recipe: one }).bytes;
    const [all, alone] = [SMOL.recipe, one].map((recipe) =>
      planOf({ ...SMOL, recipe, maxBytes: fitting - MIB }),
    );
    expect(alone!.blockTokens).toBe(SMOL.blockTokens / 2);
    expect(all!.blockTokens).toBe(alone!.blockTokens);
    expect(all!.passes).toHaveLength(SMOL.recipe.layers.length);
  });

  it('names what is missing where one layer does not fit', () => {
    expect(() => planOf({ ...SMOL, maxBytes: 100 * MIB })).toThrow(ExhaustedError);
    expect(() => planOf({ ...SMOL, maxBytes: 100 * MIB })).toThrow(
      /one layer would take \d+ MiB.*100 MiB are allowed/,
    );
  });

  it('never divides a cross-layer set', () => {
    const recipe = { ...SMOL.recipe, kind: 'cross-layer' as const };
    expect(() => planOf({ ...SMOL, recipe })).toThrow('all layers of a cross-layer set');
    expect(planOf({ ...SMOL, recipe, maxBytes: 200 * 1024 * MIB }).passes).toEqual([recipe.layers]);
  });
});
