/** A recipe for tests, small enough to be computed by hand. */
import { RECIPE_DEFAULTS, type Recipe } from '../../src/trainer/recipe.ts';

export function smallRecipe(changes: Partial<Recipe> = {}): Recipe {
  return {
    kind: 'per-layer',
    activation: 'topk',
    k: 3,
    l0: 3,
    hasSkip: false,
    d_transcoder: 16,
    layers: [0],
    feature_input_hook: 'mlp.hook_in',
    feature_output_hook: 'mlp.hook_out',
    tokens: 1000,
    batchTokens: 64,
    optimizer: 'adam',
    learningRate: 0.01,
    warmup: RECIPE_DEFAULTS.warmup,
    decay: RECIPE_DEFAULTS.decay,
    seed: 1,
    dtype: 'float32',
    hasUnitDecoder: false,
    auxiliaryWeight: 0,
    deadAfterTokens: 500,
    ...changes,
  };
}
