/**
 * Transcoder layouts: a folder with config.yaml, as circuit-tracer has it. Where it lists no files they are `layer_<i>.safetensors`, or
 * `W_enc_<i>.safetensors` and `W_dec_<i>.safetensors`; listed ones are recognised by their tensors.
 */
import { BadFileError } from '../../errors.ts';
import type { TensorFile } from '../../formats/tensor-file.ts';
import { readYaml } from '../../formats/yaml.ts';
import type { LayerDescription, ModelSize, SetDescription } from '../description.ts';
import { setConfig, SetConfigFile, type SetConfig } from '../set-config.ts';
import type { SetFiles } from '../set-files.ts';
import { crossLayer, decoderFile, encoderFile } from '../sources/cross-layer.ts';
import { gemmaScope2, gemmaScope2Cross, isGemmaScope2 } from '../sources/gemma-scope-2.ts';
import { gemmaScope, isGemmaScope } from '../sources/gemma-scope.ts';
import { singleLayer } from '../sources/single-layer.ts';
import type { LayerSource } from '../sources/source.ts';
import type { Layout } from './layout.ts';

const CONFIG = 'config.yaml';

export const circuitTracer: Layout = {
  name: 'circuit-tracer',
  lookedFor: CONFIG,
  recognises: (paths) => paths.includes(CONFIG),
  isConfig: (path) => path === CONFIG,
  async describe(files) {
    using source = await files.open(CONFIG);
    const config = setConfig(await readYaml(source, SetConfigFile), source.name, files.repository);
    return {
      layout: 'circuit-tracer',
      kind: config.kind,
      feature_input_hook: config.feature_input_hook,
      feature_output_hook: config.feature_output_hook,
      model_name: config.model_name,
      scan: config.scan,
      configFiles: [CONFIG],
      ...(config.transcoders ? { layers: listed(config) } : withFixedNames(config, files)),
    };
  },
};

function layerFile(layer: number): string {
  return `layer_${layer}.safetensors`;
}

function withFixedNames(
  { kind, activation }: SetConfig,
  files: SetFiles,
): Pick<SetDescription, 'layers' | 'fileOf'> {
  const isCross = kind === 'cross_layer_transcoder';
  const fileOf = isCross ? encoderFile : layerFile;
  const layers = files.paths
    .map((path) => Number(/_(\d+)\.safetensors$/.exec(path)?.[1] ?? NaN))
    .filter((layer, i) => files.paths[i] === fileOf(layer))
    .sort((a, b) => a - b);
  return {
    fileOf,
    layers: layers.map((layer): LayerDescription =>
      isCross
        ? {
            layer,
            files: [encoderFile(layer), decoderFile(layer)],
            source: ([encoder, decoder], { n_layers }) =>
              crossLayer(encoder!, decoder!, layer, activation, n_layers),
          }
        : {
            layer,
            files: [layerFile(layer)],
            source: ([file]) => perLayer(file!, layer, activation),
          },
    ),
  };
}

function listed({ kind, activation, transcoders }: SetConfig): LayerDescription[] {
  return [...transcoders!]
    .sort(([a], [b]) => a - b)
    .map(([layer, file]) => ({
      layer,
      files: [file],
      source: ([opened], model) =>
        kind === 'cross_layer_transcoder'
          ? listedCross(opened!, layer, activation, model)
          : perLayer(opened!, layer, activation),
    }));
}

type Named = SetConfig['activation'];

/** Layouts of the tensors of one file a layer; what is neither of the first two is circuit-tracer's own, which names what is missing. */
function perLayer(file: TensorFile, layer: number, named: Named): LayerSource {
  if (isGemmaScope2(file)) return gemmaScope2(file, layer, named);
  return isGemmaScope(file) ? gemmaScope(file, layer, named) : singleLayer(file, layer, named);
}

function listedCross(file: TensorFile, layer: number, named: Named, { n_layers }: ModelSize): LayerSource {
  if (isGemmaScope2(file)) return gemmaScope2Cross(file, layer, named, n_layers);
  throw new BadFileError({
    code: 'missing_tensor',
    message: `${file.name}: a listed file of a cross-layer set has w_enc, w_dec and threshold (Gemma Scope 2); this one has ${[...file.tensors.keys()].join(', ') || 'none'}`,
    hint: `Files of circuit-tracer's own cross-layer layout (${encoderFile(layer)}, ${decoderFile(layer)}) are not listed: leave transcoders out of ${CONFIG}.`,
  });
}
