/**
 * Transcoder layouts: Gemma Scope 2 as Google publishes it, without config.yaml: one folder a layer with params.safetensors and a
 * config.json that names the hooks as modules of the Hugging Face model. With config.yaml, that says which of the folders are meant.
 */
import * as v from 'valibot';
import { jsonObject } from '../../formats/json-object.ts';
import { readJson } from '../../formats/json.ts';
import type { LayerDescription, SetDescription } from '../description.ts';
import type { SetFiles } from '../set-files.ts';
import { gemmaScope2 as gemmaScope2Tensors } from '../sources/gemma-scope-2.ts';
import { foldersWith, hasFolderWith, type Layout } from './layout.ts';
import { refuseFieldsOf, refuseTwice } from './refusal.ts';

const CONFIG = 'config.json';
const WEIGHTS = 'params.safetensors';
const SET_CONFIG = 'config.yaml';
const MODULE = /^model\.layers\.(\d+)\.(.+)$/;

const ConfigFile = jsonObject({
  hf_hook_point_in: v.string(),
  hf_hook_point_out: v.string(),
  model_name: v.optional(v.string(), ''),
  architecture: v.picklist(['jump_relu']),
  type: v.picklist(['transcoder']),
});

/** The modules whose outputs are mlp.hook_in and hook_mlp_out. */
const INPUT = 'pre_feedforward_layernorm.output';
const OUTPUT = 'post_feedforward_layernorm.output';

export const gemmaScope2: Layout = {
  name: 'Gemma Scope 2',
  lookedFor: `folders with ${CONFIG} and ${WEIGHTS}`,
  recognises: (paths) => !paths.includes(SET_CONFIG) && hasFolderWith(paths, WEIGHTS, CONFIG),
  isConfig: (path) => path === CONFIG || path.endsWith(`/${CONFIG}`),
  describe,
};

async function describe(files: SetFiles): Promise<SetDescription> {
  const layers: LayerDescription[] = [];
  const names = new Set<string>();
  const folders = foldersWith(files.paths, WEIGHTS);
  for (const folder of folders) {
    const { model_name, ...described } = await describeLayer(files, folder);
    const twin = layers.find(({ layer }) => layer === described.layer);
    if (twin) refuseTwice(files.name, described.layer, twin.files[0]!, described.files[0]!);
    layers.push(described);
    names.add(model_name);
  }
  return {
    layout: 'Gemma Scope 2',
    kind: 'transcoder_set',
    feature_input_hook: 'mlp.hook_in',
    feature_output_hook: 'hook_mlp_out',
    model_name: names.size === 1 ? [...names][0]! : '',
    scan: null,
    configFiles: folders.map((folder) => folder + CONFIG),
    layers: layers.sort((a, b) => a.layer - b.layer),
  };
}

async function describeLayer(
  files: SetFiles,
  folder: string,
): Promise<LayerDescription & { readonly model_name: string }> {
  using source = await files.open(folder + CONFIG);
  const config = await readJson(source, ConfigFile);
  const refuse = refuseFieldsOf(source.name);
  const layerOf = (field: 'hf_hook_point_in' | 'hf_hook_point_out', expected: string): number => {
    const [, layer, module] = MODULE.exec(config[field]) ?? [];
    if (layer !== undefined && module === expected) return Number(layer);
    const hint = 'Only transcoders of MLPs can be traced.';
    return refuse(field, config[field], `model.layers.<i>.${expected}`, hint);
  };
  const layer = layerOf('hf_hook_point_in', INPUT);
  if (layerOf('hf_hook_point_out', OUTPUT) !== layer) {
    const hint = 'A transcoder describes the MLP of its own layer.';
    refuse('hf_hook_point_out', config.hf_hook_point_out, `a module of layer ${layer}`, hint);
  }
  return {
    layer,
    files: [folder + WEIGHTS],
    model_name: config.model_name,
    source: ([file]) => gemmaScope2Tensors(file!, layer, null),
  };
}
