/**
 * Transcoder layouts: the cross-layer form of Gemma Scope 2 as Google publishes it, one file a layer and no configuration. All
 * published ones read and write at the same hooks.
 */
import type { LayerDescription, SetDescription } from '../description.ts';
import type { SetFiles } from '../set-files.ts';
import { gemmaScope2Cross as tensors } from '../sources/gemma-scope-2.ts';
import type { Layout } from './layout.ts';

const SET_CONFIG = 'config.yaml';
const FILE = /^params_layer_(\d+)\.safetensors$/;
const NAME = 'Gemma Scope 2, cross-layer';

export const gemmaScope2Cross: Layout = {
  name: NAME,
  lookedFor: 'params_layer_<i>.safetensors',
  recognises: (paths) => !paths.includes(SET_CONFIG) && paths.some((path) => FILE.test(path)),
  isConfig: () => false,
  describe: (files) => Promise.resolve(describe(files)),
};

function fileOf(layer: number): string {
  return `params_layer_${layer}.safetensors`;
}

function describe({ paths }: SetFiles): SetDescription {
  const layers = paths.flatMap((path): LayerDescription[] => {
    const layer = Number(FILE.exec(path)?.[1] ?? NaN);
    if (path !== fileOf(layer)) return [];
    const source: LayerDescription['source'] = ([file], { n_layers }) =>
      tensors(file!, layer, null, n_layers);
    return [{ layer, files: [path], source }];
  });
  return {
    layout: NAME,
    kind: 'cross_layer_transcoder',
    feature_input_hook: 'mlp.hook_in',
    feature_output_hook: 'hook_mlp_out',
    model_name: '',
    scan: null,
    configFiles: [],
    layers: layers.sort((a, b) => a.layer - b.layer),
    fileOf,
  };
}
