/** Engine, verb `load`, its list: the presets that ship with the package. Nothing is opened or asked for. */
import { isCommitName, listPresets, type Preset } from '../../hub/resolve.ts';
import type { ListResult, ModelPresetResult, PresetResult, SetPresetResult } from './types.ts';

export function listPresetsByKind(): ListResult {
  const models = listPresets('models');
  const byName = new Map(models.map((model) => [model.name, model]));
  return {
    models: models.map(modelResult),
    transcoders: listPresets('transcoders').map((set) => setResult(set, byName.get(set.model ?? ''))),
  };
}

function common({ name, aliases, description, reference }: Preset): PresetResult {
  if (reference.kind === 'local') return { name, aliases, description, folder: reference.path };
  const { repo, subfolder, revision = 'main' } = reference;
  return {
    name,
    aliases,
    description,
    repository: repo,
    ...(subfolder !== undefined && { subfolder }),
    revision,
    follows_branch: !isCommitName(revision),
  };
}

function modelResult(preset: Preset): ModelPresetResult {
  const { layers, d_model, parameters, gated } = preset;
  return {
    ...common(preset),
    n_layers: layers ?? null,
    d_model: d_model ?? null,
    n_parameters: parameters ?? null,
    gated,
  };
}

function setResult(preset: Preset, model: Preset | undefined): SetPresetResult {
  const { kind, features, neuronpedia } = preset;
  return {
    ...common(preset),
    model: preset.model ?? null,
    kind,
    n_layers: model?.layers ?? null,
    n_features_a_layer: features ?? null,
    n_parameters: parametersOf(kind, features, model),
    // A set is fetched without a gate, but is of no use without its model.
    gated: model?.gated ?? false,
    neuronpedia: neuronpedia ?? null,
  };
}

/** Numbers of all encoders and decoders; biases and skips are less than a hundredth of it. */
function parametersOf(
  kind: Preset['kind'],
  features: number | undefined,
  { layers, d_model }: Partial<Pick<Preset, 'layers' | 'd_model'>> = {},
): number | null {
  if (features === undefined || layers === undefined || d_model === undefined) return null;
  const decoders = kind === 'cross-layer' ? (layers * (layers + 1)) / 2 : layers;
  return (layers + decoders) * features * d_model;
}
