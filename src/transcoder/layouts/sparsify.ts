/**
 * Transcoder layouts: EleutherAI's sparsify, one folder a hookpoint, named as the module of the Hugging Face model. The hookpoint
 * `layers.<i>.mlp` reads what the MLP reads and writes what it writes: mlp.hook_in and mlp.hook_out.
 */
import * as v from 'valibot';
import { jsonObject } from '../../formats/json-object.ts';
import { readJson } from '../../formats/json.ts';
import type { TensorFile } from '../../formats/tensor-file.ts';
import type { LayerDescription, ModelSize } from '../description.ts';
import type { SetFiles } from '../set-files.ts';
import { expectShape, type ActivationSource, type LayerSource } from '../sources/source.ts';
import { sparsify as sparsifyTensors } from '../sources/sparsify.ts';
import { foldersWith, hasFolderWith, type Layout } from './layout.ts';
import { refuseFieldsOf, refuseTwice, type RefuseField } from './refusal.ts';

const CONFIG = 'cfg.json';
const WEIGHTS = 'sae.safetensors';
const HOOKPOINT = /^layers\.(\d+)\.mlp$/;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** Keys that matter in training only (normalize_decoder, multi_topk, signed) are not read. */
const ConfigFile = jsonObject({
  activation: v.optional(v.string(), 'topk'),
  d_in: count,
  /** 0: d_in × expansion_factor. */
  num_latents: v.optional(count, 0),
  expansion_factor: v.optional(v.number()),
  k: v.pipe(v.number(), v.integer(), v.minValue(1)),
  transcode: v.optional(v.boolean(), false),
  skip_connection: v.optional(v.boolean(), false),
});
type Config = v.InferOutput<typeof ConfigFile>;

export const sparsify: Layout = {
  name: 'sparsify',
  lookedFor: `folders layers.<i>.mlp with ${CONFIG} and ${WEIGHTS}`,
  recognises: (paths) => hasFolderWith(paths, WEIGHTS, CONFIG),
  isConfig: (path) => path === CONFIG || path.endsWith(`/${CONFIG}`),
  async describe(files) {
    const layers = new Map<number, LayerDescription>();
    const folders = foldersWith(files.paths, WEIGHTS);
    for (const folder of folders) {
      const described = await describeLayer(files, folder);
      const twin = layers.get(described.layer);
      if (twin) refuseTwice(files.name, described.layer, twin.files[0]!, described.files[0]!);
      layers.set(described.layer, described);
    }
    return {
      layout: 'sparsify',
      kind: 'transcoder_set',
      feature_input_hook: 'mlp.hook_in',
      feature_output_hook: 'mlp.hook_out',
      model_name: '',
      scan: null,
      configFiles: folders.map((folder) => folder + CONFIG),
      layers: [...layers.values()].sort((a, b) => a.layer - b.layer),
    };
  },
};

async function describeLayer(files: SetFiles, folder: string): Promise<LayerDescription> {
  using source = await files.open(folder + CONFIG);
  const config = await readJson(source, ConfigFile);
  const refuse = refuseFieldsOf(source.name);
  const hookpoint = folder.split('/').at(-2) ?? '';
  const layer = HOOKPOINT.exec(hookpoint)?.[1];
  if (layer === undefined)
    return refuse(
      'the hookpoint (its folder)',
      hookpoint,
      'layers.<i>.mlp',
      hookpoint === '' ? 'Name the folder that it lies in.' : 'Only transcoders of MLPs can be traced.',
    );
  if (!config.transcode) {
    const hint = 'An autoencoder reconstructs its own input; only transcoders describe what an MLP does.';
    refuse('transcode', config.transcode, 'true', hint);
  }
  const activation = activationOf(config, refuse);
  return {
    layer: Number(layer),
    files: [folder + WEIGHTS],
    source: ([file], model) => sourceOf(file!, Number(layer), config, activation, model, refuse),
  };
}

function activationOf({ activation, k }: Config, refuse: RefuseField): ActivationSource {
  switch (activation) {
    case 'topk':
      return { kind: 'positive-topk', k };
    case 'groupmax':
      return { kind: 'groupmax', k };
    default:
      return refuse(
        'activation',
        activation,
        'topk or groupmax',
        'Other activation functions are not known.',
      );
  }
}

function sourceOf(
  file: TensorFile,
  layer: number,
  { d_in, num_latents, expansion_factor = 0, skip_connection }: Config,
  activation: ActivationSource,
  { d_model }: ModelSize,
  refuse: RefuseField,
): LayerSource {
  const source = sparsifyTensors(file, layer, activation);
  if (d_in !== d_model)
    refuse('d_in', d_in, `${d_model}, the model's d_model`, 'Was this set made for another model?');
  const n = num_latents === 0 ? d_in * expansion_factor : num_latents;
  expectShape(source.W_enc, [n, d_in], `num_latents and d_in of ${CONFIG}`);
  if (skip_connection !== (source.W_skip !== null)) {
    const found = source.W_skip ? 'has W_skip' : 'has no W_skip';
    refuse('skip_connection', skip_connection, `what ${WEIGHTS} has: it ${found}`, 'Fetch the set again.');
  }
  return source;
}
