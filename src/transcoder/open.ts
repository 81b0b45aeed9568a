/** Transcoder, before any weight is read: the files of a described set, with headers that agree with the model. */
import { BadFileError, NotFoundError } from '../errors.ts';
import { openTensorFile } from '../formats/open-tensor-file.ts';
import type { TensorFile } from '../formats/tensor-file.ts';
import type { BlockSpec } from '../model/block-spec.ts';
import { lacks, type FileSet } from '../model/file-set.ts';
import { checkLayer } from './check-layer.ts';
import type { ModelSize, SetDescription } from './description.ts';
import type { LayerSource } from './sources/source.ts';

/** What of the model a set has to match. */
export interface ModelShape extends ModelSize {
  readonly block: Pick<BlockSpec, 'norms' | 'residual'>;
}

/** An opened set: one source for each layer that it has, all shapes checked. */
export interface OpenedSet extends Disposable {
  readonly name: string;
  /** The files that it was opened from, in the order of its layers. */
  readonly paths: readonly string[];
  readonly config: SetDescription;
  /** Layers of the model. */
  readonly n_layers: number;
  /** Ascending; a set may lack layers of the model. */
  readonly layers: readonly LayerSource[];
}

/** The transcoder of a layer; undefined where the layer keeps its own MLP. */
export function sourceOf({ layers }: Pick<OpenedSet, 'layers'>, layer: number): LayerSource | undefined {
  return layers.find((source) => source.layer === layer);
}

/** Features of each layer of the model, [n_layers]; 0 where there is no transcoder. */
export function featureCounts({ n_layers, layers }: Pick<OpenedSet, 'n_layers' | 'layers'>): number[] {
  const counts = new Array<number>(n_layers).fill(0);
  for (const { layer, d_transcoder } of layers) counts[layer] = d_transcoder;
  return counts;
}

export interface OpenSetOptions {
  /** Layers of the model without a transcoder keep their own MLP, instead of being refused. */
  readonly allowMissingLayers?: boolean | undefined;
}

/**
 * Opens a set from its headers and checks it against the model. Throws `NotFoundError` for a missing file,
 * `BadFileError` for a set of another width or depth, naming the tensor, the shape expected and the shape found.
 */
export async function openSet(
  files: FileSet,
  config: SetDescription,
  model: ModelShape,
  { allowMissingLayers = false }: OpenSetOptions = {},
): Promise<OpenedSet> {
  const { n_layers } = model;
  if (config.kind !== 'none') {
    checkHooks(files.name, config, model);
    await checkDepth(files, config, n_layers, allowMissingLayers);
  }
  const opened = new Map<string, TensorFile>();
  const open = async (path: string): Promise<TensorFile> => {
    const known = opened.get(path);
    if (known) return known;
    if (lacks(files, path)) throw missingFile(files, path, n_layers);
    const file = await openTensorFile(await files.open(path));
    opened.set(path, file);
    return file;
  };
  const close = (): void => opened.forEach((file) => file[Symbol.dispose]());
  try {
    const layers: LayerSource[] = [];
    for (const { files: paths, source } of config.layers) {
      const parts: TensorFile[] = [];
      for (const path of paths) parts.push(await open(path));
      const layer = source(parts, model);
      checkLayer(layer, model);
      layers.push(layer);
    }
    return { name: files.name, paths: [...opened.keys()], config, n_layers, layers, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Refuses a set whose features read where this model has no such value. */
function checkHooks(
  name: string,
  { feature_input_hook: input }: SetDescription,
  { block: { norms, residual } }: ModelShape,
): void {
  const refuse = (why: string): never => {
    throw new BadFileError({
      code: 'set_hook',
      message: `${name}: feature_input_hook is ${input}, but ${why}`,
      hint: 'Was this set made for another model?',
    });
  };
  if (input === 'hook_resid_mid' && residual === 'parallel')
    refuse('the blocks of the model are parallel and have none');
  if (input === 'ln2.hook_normalized' && !norms.includes('ln2'))
    refuse('the blocks of the model have no norm before the MLP');
}

/** Refuses a set with layers that the model does not have, and one without all of the model's, unless it may lack some. */
async function checkDepth(
  files: FileSet,
  { layers, fileOf }: SetDescription,
  n_layers: number,
  allowMissing: boolean,
): Promise<void> {
  const present = new Set(layers.map(({ layer }) => layer));
  const last = layers.at(-1)?.layer ?? -1;
  const missing = Array.from({ length: n_layers }, (_, layer) => layer).filter(
    (layer) => !present.has(layer),
  );
  if (last >= n_layers)
    throw otherDepth(files.name, `${layers.length} transcoders, the last for layer ${last}`, n_layers, '');
  const [first] = missing;
  if (first === undefined) return;
  // Only the cache was looked at: what the set has is not known, and opening what it may have says why.
  if (files.isComplete === false) await files.open(fileOf?.(first) ?? `the transcoder of layer ${first}`);
  if (present.size === 0) throw noLayers(files.name, fileOf);
  if (allowMissing) return;
  // The lower layers and no others: the set of a smaller model.
  if (first === present.size)
    throw otherDepth(
      files.name,
      `${present.size} transcoders, none from layer ${first} on`,
      n_layers,
      ` ${ALLOW}`,
    );
  if (fileOf) throw missingFile(files, fileOf(first), n_layers, ` ${ALLOW}`);
  throw new BadFileError({
    code: 'missing_layer',
    message: `${files.name} has no transcoder for layer${missing.length > 1 ? 's' : ''} ${missing.join(', ')}; the model has ${n_layers} layers`,
    hint: ALLOW,
  });
}

const ALLOW = 'With --allow-missing-layers such layers keep their own MLP.';

function otherDepth(name: string, found: string, n_layers: number, more: string): BadFileError {
  return new BadFileError({
    code: 'layer_count',
    message: `${name} has ${found}; the model has ${n_layers} layers`,
    hint: `Was this set made for another model?${more}`,
  });
}

function noLayers(name: string, fileOf: SetDescription['fileOf']): NotFoundError {
  return new NotFoundError({
    code: 'missing_transcoder',
    message: `${name} has no transcoder${fileOf ? `: ${fileOf(0)} and the like are missing` : ''}`,
    hint: 'docs/formats.md lists the files of each layout.',
  });
}

function missingFile(files: FileSet, path: string, n_layers: number, more = ''): NotFoundError {
  return new NotFoundError({
    code: 'missing_transcoder',
    message: `${files.name} lacks ${path}`,
    hint: `The model has ${n_layers} layers, and every layer needs its transcoder.${more}`,
  });
}
