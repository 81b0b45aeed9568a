/** Engine, verb `train`: from a request to a recipe, with the defaults that depend on the model. */
import { UsageError } from '../../errors.ts';
import type { TransformerConfig } from '../../model/config.ts';
import { hookNames, type BlockSite, type OutputSite } from '../../model/hooks.ts';
import { INPUT_SITES, OUTPUT_SITES } from '../../transcoder/description.ts';
import {
  defaultDeadTokens,
  defaultLearningRate,
  RECIPE_DEFAULTS,
  type Recipe,
  type TrainKind,
} from '../../trainer/recipe.ts';
import { partOf, shownShard } from '../shard.ts';
import { plural } from '../../plural.ts';
import type { TrainRequest } from './types.ts';

interface Hooks {
  readonly input: BlockSite;
  readonly output: OutputSite;
}

/** What the published sets of a family read and write (circuit-tracer's presets, Gemma Scope). */
const GEMMA_2_HOOKS: Readonly<Record<TrainKind, Hooks>> = {
  'per-layer': { input: 'ln2.hook_normalized', output: 'hook_mlp_out' },
  'cross-layer': { input: 'hook_resid_mid', output: 'hook_mlp_out' },
};
const USUAL_HOOKS: Hooks = { input: 'mlp.hook_in', output: 'mlp.hook_out' };
const GEMMA_2 = 'Gemma2ForCausalLM';

/** @param tokens to train on, where the request does not say. Throws `UsageError` for what the model does not have. */
export function recipeOf(request: TrainRequest, config: TransformerConfig, tokens: number): Recipe {
  const kind = request.kind ?? RECIPE_DEFAULTS.kind;
  const usual = config.family.architecture === GEMMA_2 ? GEMMA_2_HOOKS[kind] : USUAL_HOOKS;
  const d_transcoder = request.features ?? (request.expansion ?? RECIPE_DEFAULTS.expansion) * config.d_model;
  const optimizer = request.optimizer ?? RECIPE_DEFAULTS.optimizer;
  const activation = request.activation ?? RECIPE_DEFAULTS.activation;
  const k = request.k ?? RECIPE_DEFAULTS.k;
  checkFeatures(d_transcoder, k);
  const recipe: Recipe = {
    kind,
    activation,
    k,
    l0: request.l0 ?? k,
    hasSkip: request.skip ?? false,
    d_transcoder,
    layers: ofShard(request, kind, layersOf(request, config)),
    feature_input_hook: request.inputHook ?? usual.input,
    feature_output_hook: request.outputHook ?? usual.output,
    tokens,
    batchTokens: request.batchTokens ?? RECIPE_DEFAULTS.batchTokens,
    optimizer,
    learningRate: request.learningRate ?? defaultLearningRate(optimizer, d_transcoder),
    warmup: request.warmup ?? RECIPE_DEFAULTS.warmup,
    decay: request.decay ?? RECIPE_DEFAULTS.decay,
    seed: request.seed ?? RECIPE_DEFAULTS.seed,
    dtype: request.dtype ?? RECIPE_DEFAULTS.dtype,
    hasUnitDecoder: activation === 'relu',
    auxiliaryWeight: RECIPE_DEFAULTS.auxiliaryWeight,
    deadAfterTokens: defaultDeadTokens(tokens),
  };
  checkHooks(recipe, config);
  if (recipe.hasSkip && kind === 'cross-layer') {
    throw new UsageError({
      code: 'no_skip',
      message: '--skip: cross-layer sets have no skip connections',
      hint: 'Leave --skip out, or train --kind per-layer.',
    });
  }
  return recipe;
}

function checkFeatures(d_transcoder: number, k: number): void {
  if (Number.isInteger(d_transcoder) && k <= d_transcoder) return;
  throw new UsageError({
    code: 'out_of_range',
    message: Number.isInteger(d_transcoder)
      ? `--k ${k}: a layer has only ${d_transcoder} features`
      : `--expansion: ${d_transcoder} features a layer is not a whole number`,
    hint: 'Give --features N with N above --k.',
  });
}

/** Of the whole set, ascending. Throws `UsageError` for those that the model does not have. */
export function layersOf({ layers, kind }: TrainRequest, { n_layers }: TransformerConfig): number[] {
  const all = Array.from({ length: n_layers }, (_, layer) => layer);
  const chosen = layers ? [...new Set(layers)].sort((a, b) => a - b) : all;
  const wrong = chosen.find((layer) => layer >= n_layers);
  if (wrong !== undefined || chosen.length === 0) {
    throw new UsageError({
      code: 'out_of_range',
      message:
        wrong === undefined
          ? '--layers: there is no layer to train'
          : `--layers: the model has no layer ${wrong}; it has ${n_layers}, from 0 to ${n_layers - 1}`,
      hint: 'Give layers such as 0-5,9, or leave it out to train all.',
    });
  }
  if (kind === 'cross-layer' && chosen.length < n_layers) {
    throw new UsageError({
      code: 'missing_layers',
      message: `--layers: a cross-layer set has all ${n_layers} layers of the model`,
      hint: 'Leave --layers out, or train --kind per-layer.',
    });
  }
  return chosen;
}

/** Parts are runs of layers: the model is loaded and run up to the highest layer of a part only. */
function ofShard({ shard }: TrainRequest, kind: TrainKind, layers: readonly number[]): readonly number[] {
  if (!shard) return layers;
  if (kind === 'cross-layer') {
    throw new UsageError({
      code: 'cross_layer_shard',
      message: '--shard: layers of a cross-layer set write into each other and are trained together',
      hint: 'Leave --shard out, or train --kind per-layer.',
    });
  }
  if (shard.of > layers.length) {
    throw new UsageError({
      code: 'out_of_range',
      message: `--shard ${shownShard(shard)}: ${plural(layers.length, 'layer')} cannot be divided into ${shard.of} parts`,
      hint: `Give ${plural(layers.length, 'part')} at most.`,
    });
  }
  return partOf(layers, shard);
}

function checkHooks({ feature_input_hook, feature_output_hook }: Recipe, config: TransformerConfig): void {
  const names: readonly string[] = hookNames(config, feature_output_hook);
  const check = (flag: string, site: string, known: readonly string[]): void => {
    if (known.includes(site) && names.includes(`blocks.0.${site}`)) return;
    throw new UsageError({
      code: 'bad_hook',
      message: `${flag}: expected ${known.join(' or ')}, where the model has it, found '${site}'`,
      hint: 'Sets that read or write elsewhere cannot be traced.',
    });
  };
  check('--input-hook', feature_input_hook, INPUT_SITES);
  check('--output-hook', feature_output_hook, OUTPUT_SITES);
}
