/** Transcoder, before any weight is read: the files of a set, its configuration, headers that agree with the model. */
import { BadFileError, NotFoundError } from '../errors.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import { openTensorFile } from '../formats/open-tensor-file.ts';
import { readYaml } from '../formats/yaml.ts';
import type { BlockSpec } from '../model/block-spec.ts';
import { lacks, type FileSet } from '../model/file-set.ts';
import { NO_SET } from './no-set.ts';
import { SetConfigFile, setConfig, type SetConfig } from './set-config.ts';
import { crossLayer, decoderFile, encoderFile } from './sources/cross-layer.ts';
import { gemmaScope, isGemmaScope } from './sources/gemma-scope.ts';
import { singleLayer } from './sources/single-layer.ts';
import { expectShape, type LayerSource } from './sources/source.ts';

export const SET_CONFIG_FILE = 'config.yaml';

/** What of the model a set has to match. */
export interface ModelShape {
  readonly n_layers: number;
  readonly d_model: number;
  readonly block: Pick<BlockSpec, 'norms' | 'residual'>;
}

/** An opened set: one source a layer, all shapes checked. */
export interface OpenedSet extends Disposable {
  readonly name: string;
  /** The files that it was opened from, in the order of its layers. */
  readonly paths: readonly string[];
  readonly config: SetConfig;
  readonly d_transcoder: number;
  readonly layers: readonly LayerSource[];
}

/** Reads `config.yaml`. Throws `NotFoundError` when there is none, `BadFileError` when it is not valid. */
export async function readSetConfig(files: FileSet): Promise<SetConfig> {
  if (lacks(files, SET_CONFIG_FILE)) {
    throw new NotFoundError({
      code: 'no_set_config',
      message: `${files.name} has no ${SET_CONFIG_FILE}`,
      hint: 'A transcoder set is a folder with config.yaml (model_kind, feature_input_hook, …) and its weights.',
    });
  }
  using source = await files.open(SET_CONFIG_FILE);
  return setConfig(await readYaml(source, SetConfigFile), source.name);
}

/** The weight files that a set consists of, in the order of its layers. */
export function setFiles(config: SetConfig, n_layers: number): string[] {
  const layers = Array.from({ length: n_layers }, (_, layer) => layer);
  if (config.kind === 'cross_layer_transcoder')
    return layers.flatMap((l) => [encoderFile(l), decoderFile(l)]);
  return config.transcoders ? [...config.transcoders] : layers.map(layerFile);
}

function layerFile(layer: number): string {
  return `layer_${layer}.safetensors`;
}

/**
 * Opens a set from its headers and checks it against the model. Throws `NotFoundError` for a missing file,
 * `BadFileError` for a set of another width or depth, naming the tensor, the shape expected and the shape found.
 */
export async function openSet(files: FileSet, config: SetConfig, model: ModelShape): Promise<OpenedSet> {
  if (config.kind === NO_SET) {
    return {
      name: files.name,
      paths: [],
      config,
      d_transcoder: 0,
      layers: [],
      [Symbol.dispose]: () => undefined,
    };
  }
  checkHooks(files.name, config, model);
  checkDepth(files, config, model);
  const hasThresholds = config.activation === null || config.activation.kind === 'jumprelu';
  const opened = new Map<string, TensorFile>();
  const open = async (path: string): Promise<TensorFile> => {
    const known = opened.get(path);
    if (known) return known;
    if (lacks(files, path)) {
      throw new NotFoundError({
        code: 'missing_transcoder',
        message: `${files.name} lacks ${path}`,
        hint: `The model has ${model.n_layers} layers, and every layer needs its transcoder.`,
      });
    }
    const file = await openTensorFile(await files.open(path));
    opened.set(path, file);
    return file;
  };
  const close = (): void => opened.forEach((file) => file[Symbol.dispose]());
  try {
    const layers: LayerSource[] = [];
    for (let layer = 0; layer < model.n_layers; layer++) {
      const source =
        config.kind === 'cross_layer_transcoder'
          ? crossLayer(
              await open(encoderFile(layer)),
              await open(decoderFile(layer)),
              layer,
              model.n_layers,
              hasThresholds,
            )
          : perLayer(await open(config.transcoders?.[layer] ?? layerFile(layer)), layer, hasThresholds);
      checkThreshold(source, config);
      checkKept(source, config, files.name);
      checkLayer(source, model, layers[0]?.d_transcoder ?? source.d_transcoder);
      layers.push(source);
    }
    return {
      name: files.name,
      paths: [...opened.keys()],
      config,
      d_transcoder: layers[0]!.d_transcoder,
      layers,
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function perLayer(file: TensorFile, layer: number, hasThresholds: boolean): LayerSource {
  return isGemmaScope(file)
    ? gemmaScope(file, layer, hasThresholds)
    : singleLayer(file, layer, hasThresholds);
}

/** Refuses a set whose features read or write where this model has no such value, or one that is not the MLP's output yet. */
function checkHooks(
  name: string,
  { feature_input_hook: input, feature_output_hook: output }: SetConfig,
  { block: { norms, residual } }: ModelShape,
): void {
  const refuse = (field: string, found: string, why: string): never => {
    throw new BadFileError({
      code: 'set_hook',
      message: `${name}: ${field} is ${found}, but ${why}`,
      hint: 'Was this set made for another model?',
    });
  };
  if (input === 'hook_resid_mid' && residual === 'parallel')
    refuse('feature_input_hook', input, 'the blocks of the model are parallel and have none');
  if (input === 'ln2.hook_normalized' && !norms.includes('ln2'))
    refuse('feature_input_hook', input, 'the blocks of the model have no norm before the MLP');
  if (output === 'mlp.hook_out' && norms.includes('ln2_post'))
    refuse('feature_output_hook', output, 'the model has a norm behind it; features write hook_mlp_out');
}

/**
 * Refuses a set whose list or files have another number of layers than the model. A file that is missing between others does
 * not count here: it is reported as missing when it is opened.
 */
function checkDepth(files: FileSet, config: SetConfig, model: ModelShape): void {
  const found = config.transcoders?.length ?? countLayers(files, config, model.n_layers);
  if (found === model.n_layers) return;
  throw new BadFileError({
    code: 'layer_count',
    message: `${files.name} has ${found > model.n_layers && !config.transcoders ? 'at least ' : ''}${found} transcoders; the model has ${model.n_layers} layers`,
    hint: 'Was this set made for another model?',
  });
}

/** Layers with a file, up to one more than the model has; as many as the model has when there is a gap between them. */
function countLayers(files: FileSet, { kind }: SetConfig, n_layers: number): number {
  if (files.isComplete === false) return n_layers; // the number of files is not known
  const fileOf = kind === 'cross_layer_transcoder' ? encoderFile : layerFile;
  const present = Array.from({ length: n_layers + 1 }, (_, layer) => files.has(fileOf(layer)));
  const first = present.indexOf(false);
  if (first < 0) return n_layers + 1;
  return first > 0 && present.lastIndexOf(true) < first ? first : n_layers;
}

function checkThreshold({ threshold, W_enc }: LayerSource, { activation }: SetConfig): void {
  if (threshold !== null || activation?.kind !== 'jumprelu') return;
  throw new BadFileError({
    code: 'missing_tensor',
    message: `${W_enc.file.name} has no threshold, but ${SET_CONFIG_FILE} says activation: jumprelu`,
    hint: 'JumpReLU has one threshold a feature (activation_function.threshold); docs/formats.md lists the layouts.',
  });
}

function checkKept({ layer, d_transcoder }: LayerSource, { activation }: SetConfig, setName: string): void {
  if (activation?.kind !== 'topk' || activation.k <= d_transcoder) return;
  throw new BadFileError({
    code: 'bad_set_config',
    message: `${SET_CONFIG_FILE} of ${setName}: k is ${activation.k}, but layer ${layer} has ${d_transcoder} features`,
    hint: 'k says how many features of a position are kept.',
  });
}

function checkLayer(source: LayerSource, { d_model }: ModelShape, d_transcoder: number): void {
  const F = source.d_transcoder;
  if (F !== d_transcoder) {
    throw new BadFileError({
      code: 'feature_count',
      message: `${source.W_enc.file.name}: layer ${source.layer} has ${F} features, layer 0 has ${d_transcoder}`,
      hint: 'All transcoders of a set have the same number of features.',
    });
  }
  const width = `the model's d_model is ${d_model}`;
  expectShape(source.W_enc, source.W_enc.transposed ? [d_model, F] : [F, d_model], width);
  const crossing = source.W_dec.info.shape.length === 3;
  const n = source.n_written_layers;
  expectShape(
    source.W_dec,
    crossing || n > 1 ? [F, n, d_model] : [F, d_model],
    `${width}, ${n} layers written`,
  );
  expectShape(source.b_enc, [F], `${F} features`);
  expectShape(source.b_dec, [d_model], width);
  const { threshold, W_skip } = source;
  if (threshold && threshold.info.shape.reduce((a, b) => a * b, 1) !== 1)
    expectShape(threshold, [F], `${F} features`);
  if (W_skip) expectShape(W_skip, [d_model, d_model], width);
}
